"""The lines of a fit's certificate for any method: the same questions, thresholds and words."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from ..data.certificate import CertificateLine
from ..data.records import JSON, Invented, Scores
from ..errors import DCFError, name_arguments
from ..estimator.fitted import PreparedFrames
from ..evaluation.certificate import HELD_OUT, certify_scores
from ..evaluation.invented import judge_latents, sample_latents
from ..evaluation.shared_signal import LeftOut, predict_hidden_channels
from ..metrics import bootstrap_over_segments, compare_paired
from .measure import Material, Measured, encode
from .methods import Encoder, Frames, Method

SLOW_S = 5.0  # of one encoding of the unseen frames, above which ten more are not made without being asked for


def certify_method(
    method: Method,
    encoder: Encoder,
    measured: Measured,
    material: Material,
    pca: Measured | None,
    ours: Mapping[str, Any],
    *,
    thorough: bool,
) -> list[CertificateLine]:
    """Judge one method by the lines that a fit of DCF is judged by.

    Parameters
    ----------
    method, encoder, measured
        The method, its fit, and what that gave.
    material : Material
    pca : Measured or None
        What PCA gave; None where it was not among the methods, or is the method itself.
    ours : mapping
        The scores of DCF's fit: whether channels are coordinated at all is asked of the data, and not of a method.
    thorough : bool
        Whether to wait for a method that encodes slowly.

    Returns
    -------
    list of CertificateLine
        What does not apply to the method is not measured, with the reason: the others have no dynamics of their own.
    """
    is_dcf = method.name == "DCF"
    # of pixels DCF's fit has the reason why none is left out, and it holds for every method
    left_out = None if is_dcf or not material.channels else _measure_left_out(method, encoder, material, thorough)
    scores: JSON = {
        "on": HELD_OUT,
        "left_out": left_out or ours.get("left_out"),
        "shifted_apart": ours.get("shifted_apart"),
        "channels": _name_channels(measured, material),
        "rollout": ours.get("rollout") if is_dcf else {"not_measured": f"{method.name} has no dynamics of its own"},
    }
    if measured.found_again is not None:
        # R2 of a linear map: its root is the correlation that thresholds are of
        found = float(np.sqrt(max(measured.found_again, 0.0)))
        latents = tuple(range(1, measured.n_latents + 1))
        scores["agreement"] = {
            "planes": [found], "groups": [latents], "fits": 2, "space": found,
            "invented": _measure_invented(method, encoder, measured.halves, material),
        }  # fmt: skip
    if pca is not None and "reconstruction" in measured.scores and "reconstruction" in pca.scores:
        pair = measured.scores["reconstruction"], pca.scores["reconstruction"]
        gain = compare_paired(*pair, seed=material.seed)
        scores |= {
            "difference_r2": gain.value,
            "pca_r2": bootstrap_over_segments(pair[1], seed=material.seed).value,
            "intervals": {"difference_r2": [gain.low, gain.high], "n": gain.n, "over": gain.over},
        }
    lines = certify_scores(
        cast(Scores, scores), channel=material.channel, scale=material.scale, n_channels=len(material.channels)
    )
    return [_explain_missing(line, method, pca) for line in lines]


def explain_left_out(certificates: Mapping[str, Sequence[CertificateLine]]) -> dict[str, list[CertificateLine]]:
    """Say where latents of one method tell nothing of hidden channels that those of another do.

    That channels may have nothing in common, as the line of a single fit says, is then known to be false.

    Parameters
    ----------
    certificates : mapping of str to sequence of CertificateLine
        By method.
    """
    name = "predicts left-out channels"
    own = {method: line for method, lines in certificates.items() for line in lines if line["line"] == name}
    known = {method: line["value"] or 0.0 for method, line in own.items() if line["verdict"] == "pass"}
    if not known:
        return {method: list(lines) for method, lines in certificates.items()}
    best = max(known, key=lambda method: known[method])
    # channels are hidden by their mean, which a method may not know what to make of
    theirs = f"those of {best} do (R2 {known[best]:.3f})"
    sentence = name_arguments(
        f"latents tell nothing of channels that are hidden from them, though {theirs}: they do not carry over to "
        "held-out data, or need every channel; --certify fits without some"
    )
    return {
        method: [
            {**line, "sentence": sentence} if line["line"] == name and line["verdict"] == "fail" else line
            for line in lines
        ]
        for method, lines in certificates.items()
    }


def _explain_missing(line: CertificateLine, method: Method, pca: Measured | None) -> CertificateLine:
    if line["line"] != "better than PCA" or line["verdict"] != "not measured":
        return line
    why = (
        "it is PCA" if method.name == "PCA" else "PCA is not among the methods" if pca is None else "it has no way back"
    )
    return {**line, "sentence": f"better than PCA was not measured: {why}"}


def _measure_left_out(method: Method, encoder: Encoder, material: Material, thorough: bool) -> LeftOut:
    if method.counts:
        return {"not_measured": f"{method.name} takes spikes, of which none can be hidden"}
    started = time.perf_counter()
    encode(encoder, material.unseen)
    if time.perf_counter() - started > SLOW_S and not thorough:
        return {"not_measured": f"{method.name} encodes slowly: give --certify"}
    parts, mean = _prepare(material), material.training.x.mean(axis=0)
    try:
        return predict_hidden_channels(*parts, _read_by(encoder, material), mean, seed=material.seed)
    except (DCFError, ValueError) as error:  # a line that cannot be measured takes nothing from the others
        return {"not_measured": str(error)}


def _measure_invented(method: Method, encoder: Encoder, halves: Sequence[Encoder], material: Material) -> Invented:
    """Ask the fits to each half of the segments for the latents of the fit to all, as refits of DCF are asked."""
    if not material.channels:
        return {"not_measured": "pixels are no channels: neighbours are alike"}
    if method.counts:
        return {"not_measured": f"{method.name} takes spikes, of which none can be hidden"}
    if not halves:
        return {"not_measured": "give --certify, which fits again"}
    frames, read = _prepare(material), [_read_by(one, material) for one in (encoder, *halves)]
    try:
        runs = [sample_latents(frames, one) for one in read]
        return judge_latents(frames, read[0], material.training.x.mean(axis=0), runs, seed=material.seed)
    except ValueError as error:  # as above; DCFError is one
        return {"not_measured": str(error)}


def _prepare(material: Material) -> tuple[PreparedFrames, PreparedFrames]:
    return _as_prepared(material.training), _as_prepared(material.unseen)


def _read_by(encoder: Encoder, material: Material) -> Callable[[PreparedFrames], np.ndarray]:
    def read(frames: PreparedFrames) -> np.ndarray:
        return encode(encoder, Frames(frames.values, frames.segment, None, material.training.step_s))

    return read


def _as_prepared(frames: Frames) -> PreparedFrames:
    time_s = np.arange(len(frames.x)) * frames.step_s
    return PreparedFrames(np.asarray(frames.x, np.float32), np.unique(frames.segment, return_inverse=True)[1], time_s)


def _name_channels(measured: Measured, material: Material) -> list[JSON]:
    names = material.channels
    if not names:  # pixels have none, and no latent is one of them
        return []
    tops = [{"channel": names[at], "loading_share": part, "decoder_share": None} for at, part in measured.largest]
    return [{"latent": i, "top": [one]} for i, one in enumerate(tops, 1)]
