"""The lines of a fit's certificate for methods that are not DCF."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nwb_dcf.compare.certificate import certify_method, explain_left_out
from nwb_dcf.compare.measure import Material, Measured, measure_method, take_frames
from nwb_dcf.compare.methods import METHODS, Encoder, Frames, Method
from nwb_dcf.compare.table import describe_certificates, list_failures

from .test_methods import make_frames

OURS = {"shifted_apart": {"value": 0.5, "nulls": [0.0] * 39, "p": 0.025, "over": "segments"}}


def make_material() -> Material:
    parts = [make_frames(seed) for seed in (0, 1)]
    return Material(parts[0], parts[1], None, 0, 0, [f"unit {i}" for i in range(12)])


def certify(method: Method, material: Material, pca: Measured | None = None, **changes: Any) -> dict[str, Any]:
    encoder = method.fit(material.training, 2, 0)
    measured = replace(measure_method(encoder, material), **changes)
    lines = certify_method(method, encoder, measured, material, pca, OURS, thorough=False)
    return {line["line"]: line for line in lines}


class _Slack:
    """PCA whose way back loses a tenth."""

    def __init__(self, frames: Frames, dim: int) -> None:
        self.pca = METHODS["pca"].fit(frames, dim, 0)

    def encode(self, frames: Frames) -> Any:
        return self.pca.encode(frames)

    def reconstruct(self, latents: Any) -> Any:
        return self.pca.reconstruct(0.7 * latents)


def fit_slack(frames: Frames, dim: int, seed: int) -> Encoder:
    return _Slack(frames, dim)


def test_the_same_lines_are_asked_of_every_method() -> None:
    material = make_material()
    lines = certify(METHODS["pca"], material, found_again=1.0)
    assert lines["predicts left-out channels"]["value"] > 0.5
    assert lines["not made of noise"]["verdict"] == "pass"
    assert lines["not one channel"]["verdict"] == "pass"
    assert lines["found again"]["verdict"] == "pass"
    assert lines["better than PCA"]["sentence"].endswith("it is PCA")
    assert lines["predicts the future"]["sentence"].endswith("PCA has no dynamics of its own")


def test_latents_of_nothing_fail_though_they_reconstruct() -> None:
    rng = np.random.default_rng(0)
    noise = [
        Frames(rng.normal(size=(400, 12)).astype(np.float32), frames.segment, None, 0.02)
        for frames in (make_material().training, make_material().unseen)
    ]
    lines = certify(METHODS["pca"], Material(noise[0], noise[1], None, 0, 0, list(range(12))))
    assert lines["predicts left-out channels"]["verdict"] == "fail"
    assert lines["found again"]["verdict"] == "not measured"


def test_a_method_that_reconstructs_less_than_pca_fails_that_line_and_is_named() -> None:
    material = make_material()
    pca = METHODS["pca"]
    measured = measure_method(pca.fit(material.training, 2, 0), material)
    lines = certify(Method("slack", fit_slack), material, measured)
    assert lines["better than PCA"]["verdict"] == "fail"
    assert lines["better than PCA"]["value"] < 0
    rows = [{"method": "slack", "certificate": list(lines.values())}]
    assert list_failures(rows)[0].startswith("slack: ")
    table = {cells["certificate"]: cells["slack"] for cells in describe_certificates(rows)}
    assert table["better than PCA"].startswith("fail (-")
    assert "found again" not in table  # which no method answers


def test_a_latent_of_one_channel_is_named() -> None:
    material = make_material()
    loud = material.training.x.copy()
    loud[:, 4] = np.random.default_rng(5).normal(size=400) * 50
    lines = certify(METHODS["pca"], replace(material, training=replace(material.training, x=loud)))
    assert lines["not one channel"]["verdict"] == "fail"
    assert "channel unit 4" in lines["not one channel"]["sentence"]


def test_a_space_that_is_not_found_again_fails() -> None:
    lines = certify(METHODS["pca"], make_material(), found_again=0.3)
    assert lines["found again"]["verdict"] == "fail"


class _Inventive:
    """PCA, and one latent more: a rotation that goes on by itself, kicked by the frames as this fit alone does."""

    def __init__(self, frames: Frames, seed: int) -> None:
        self.pca = METHODS["pca"].fit(frames, 2, 0)
        self.seed, self.kick = seed, np.random.default_rng(seed).normal(size=frames.x.shape[1]) / 20

    def encode(self, frames: Frames) -> Any:
        angle = np.cumsum(0.2 + 0.02 * self.seed + frames.x @ self.kick)
        return np.column_stack([self.pca.encode(frames), np.sin(angle)])

    def reconstruct(self, latents: Any) -> Any:
        return self.pca.reconstruct(latents[:, :2])


def test_fits_to_half_of_the_segments_find_out_what_a_fit_invented() -> None:
    material, pca = make_material(), METHODS["pca"]
    halves = [take_frames(material.training, material.training.segment % 2 == i) for i in (0, 1)]
    sound = certify(pca, material, found_again=1.0, halves=tuple(pca.fit(half, 2, 0) for half in halves))
    assert sound["not invented"]["sentence"].startswith("fits to other segments decode every latent")
    inventive = Method("inventive", lambda frames, dim, seed: _Inventive(frames, seed))
    again = tuple(_Inventive(half, seed) for seed, half in enumerate(halves, 1))
    line = certify(inventive, material, found_again=1.0, halves=again)["not invented"]
    assert (line["verdict"], "latent 3" in line["sentence"]) == ("fail", True)
    assert certify(pca, material, found_again=1.0)["not invented"]["sentence"].endswith("which fits again")


def test_channels_that_other_latents_tell_of_are_not_said_to_have_nothing_in_common() -> None:
    def make(verdict: str, value: float) -> Any:
        words = "channels may have nothing in common"
        return [{"line": "predicts left-out channels", "verdict": verdict, "value": value, "sentence": words}]

    found = explain_left_out({"PCA": make("pass", 0.2), "DCF": make("pass", 0.3), "CEBRA": make("fail", -0.1)})
    assert found["PCA"] == make("pass", 0.2)
    assert found["CEBRA"][0]["verdict"] == "fail"
    assert "though those of DCF do (R2 0.300)" in found["CEBRA"][0]["sentence"]
    nothing = {"PCA": make("fail", -0.2), "DCF": make("doubtful", 0.1)}
    assert explain_left_out(nothing) == nothing
