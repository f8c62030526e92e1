"""On a GPU: the same fit as on a CPU up to rounding, and a model that loads where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from nwb_dcf import DCF
from nwb_dcf.data.recording import make_recording
from nwb_dcf.data.synthetic import simulate_ball
from nwb_dcf.estimator import initialization as start
from nwb_dcf.metrics import r2_score
from nwb_dcf.model.training import cuda_graph as graph
from nwb_dcf.model.unet import ConditionedUNet

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU"),
]


@pytest.fixture(scope="module")
def oscillations() -> np.ndarray:
    t = np.linspace(0, 60, 1200)[:, None]
    phase = np.arange(12)[None]
    noise = np.random.default_rng(0).standard_normal((1200, 12))
    return np.sin(t + phase) + np.sin(2 * t + phase) ** 2 + 0.1 * noise


def test_gpu_and_cpu_fit_alike(oscillations: np.ndarray) -> None:
    on_gpu = DCF(dim=2, steps=200, device="cuda").fit(oscillations)
    on_cpu = DCF(dim=2, steps=200, device="cpu").fit(oscillations)
    # Random draws differ between devices, so weights do too; the start and the figures may not.
    np.testing.assert_allclose(on_gpu.transform(oscillations), on_cpu.transform(oscillations), atol=1e-3)
    assert abs(on_gpu.score(oscillations) - on_cpu.score(oscillations)) < 0.02


def test_a_model_from_a_gpu_loads_on_a_cpu(oscillations: np.ndarray) -> None:
    on_gpu = DCF(dim=2, steps=20, device="cuda").fit(oscillations)
    loaded = DCF.from_bytes(on_gpu.to_bytes(), device="cpu")
    assert r2_score(on_gpu.transform(oscillations), loaded.transform(oscillations)) > 0.99999


def test_the_paper_size_u_net_fits_images() -> None:
    ball = simulate_ball(4, 20)
    images, segment = ball.truth["frames"].values, ball.recording["segment_index"].values
    recording = make_recording(images, ball.recording["time"].values, segment_index=segment)
    model = DCF(preset="paper", steps=30, solver="midpoint", device="cuda").fit(recording)
    network = model.fitted_.model.u.network
    assert isinstance(network, ConditionedUNet)
    assert [block.second.out_channels for block in network.down] == [32, 64, 128, 256]
    assert next(network.parameters()).device.type == "cuda"
    assert model.k_max_ == 256  # of 784 pixels
    losses = model.fitted_.curve.cf
    assert np.isfinite(losses).all()
    loaded = DCF.from_bytes(model.to_bytes(), device="cpu")
    assert r2_score(model.transform(images), loaded.transform(images)) > 0.999
    rebuilt = loaded.inverse_transform(loaded.transform(images))
    assert rebuilt.shape == images.shape


def test_frames_too_many_for_the_gpu_are_sent_by_batches(
    oscillations: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = np.random.default_rng(1).poisson(np.exp(oscillations))
    for values in (oscillations, counts):  # a code that stands still, and one that learns with its window
        fits = []
        for share in (0.4, 0.0):
            monkeypatch.setattr(start, "SHARE_OF_GPU", share)
            fits.append(DCF(dim=2, steps=40, device="cuda").fit(values))
        homes = [fit.fitted_.machine["frames"] for fit in fits]
        assert homes == ["on the cuda device", "in memory; sent to the cuda device by batches"]
        np.testing.assert_allclose(fits[0].transform(values), fits[1].transform(values), atol=1e-4)


def test_reduced_products_fit_as_well(oscillations: np.ndarray) -> None:
    asked = ("full", "reduced", "auto")
    fits = [DCF(dim=2, steps=100, device="cuda", settings={"precision": p}).fit(oscillations) for p in asked]
    assert [fit.fitted_.machine["products"] for fit in fits] == ["float32", "tf32", "tf32"]
    assert fits[1].score(oscillations) == pytest.approx(fits[0].score(oscillations), abs=0.005)


def make_ball() -> tuple[xr.Dataset, np.ndarray]:
    """80 images of 28 x 28, and the same as an array."""
    ball = simulate_ball(4, 20)
    images, segment = ball.truth["frames"].values, ball.recording["segment_index"].values
    return make_recording(images, ball.recording["time"].values, segment_index=segment), images


KINDS = {"values": {"steps": 80}, "counts": {"steps": 80}, "images": {"steps": 30}, "the paper's": {"steps": 40}}


def fit_kind(kind: str, oscillations: np.ndarray) -> DCF:
    settings = dict(KINDS[kind])
    if kind == "images":
        return DCF(dim=2, device="cuda", settings=settings).fit(make_ball()[0])
    values = np.random.default_rng(1).poisson(np.exp(oscillations)) if kind == "counts" else oscillations
    preset = "paper" if kind == "the paper's" else "default"
    return DCF(dim=2, device="cuda", preset=preset, settings=settings).fit(values)


def list_weights(fit: DCF) -> dict[str, torch.Tensor]:
    return {name: value.cpu() for name, value in fit.fitted_.model.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_gives_one_result(oscillations: np.ndarray, kind: str) -> None:
    one, other = (list_weights(fit_kind(kind, oscillations)) for _ in range(2))
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_replayed_steps_are_the_steps(oscillations: np.ndarray, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    replayed = []
    replay = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda self: replayed.append(replay(self)))
    one = fit_kind(kind, oscillations)
    assert len(replayed) >= KINDS[kind]["steps"] - graph.FIRST
    n_replayed = len(replayed)
    monkeypatch.setattr(graph, "FIRST", 10**9)
    other = fit_kind(kind, oscillations)
    assert len(replayed) == n_replayed
    assert one.steps_ == other.steps_
    weights = list_weights(other)
    for name, value in list_weights(one).items():  # a kernel may be chosen otherwise while it is recorded
        torch.testing.assert_close(value, weights[name], rtol=1e-3, atol=1e-5, equal_nan=True)


def test_latents_of_images_are_exact(oscillations: np.ndarray) -> None:
    """Convolutions on a GPU would reduce their factors by themselves."""
    on_gpu, images = fit_kind("images", oscillations), make_ball()[1]
    on_cpu = DCF.from_bytes(on_gpu.to_bytes(), device="cpu")
    np.testing.assert_allclose(on_gpu.transform(images), on_cpu.transform(images), atol=1e-4)
    assert torch.backends.cudnn.allow_tf32
