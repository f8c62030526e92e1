"""DCF and its rivals behind one interface: a recording in, a fitted code out."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from rivals import Rival, find_rivals, find_tuned

from nwb_dcf import DCF
from nwb_dcf.config.presets import make_config
from nwb_dcf.data.preprocessing import Preprocessor, fit_preprocessor
from nwb_dcf.data.recording import flatten_frames

RIVAL_STEPS = 600
MORE = 2  # axes beyond dim, where axes are compared
QUICK = {"steps": 40, "align_steps": 40}
RANDOM_START = {"start": "random"}  # L, d and mu are learned from nothing
CODE_ALONE = {"beta": 0.0}  # where only axes are compared: no v
PERCEPTRON = "DCF, perceptron"  # on images, beside the U-Net: what --network mlp gives


@dataclass(frozen=True)
class Fit:
    """A method fitted to one recording.

    Attributes
    ----------
    encode : function of a recording
        Latents (time, dim).
    rebuild : function of latents, or None
        Prepared frames (time, channel).
    preparation : Preprocessor
        Of the recording that was fitted.
    ordered : bool
        Whether the method orders its axes.
    spectrum : array, shape (dim,), or None
        Variance that each axis stands for, where the method says.
    seconds, samples
        What the fit took.
    model : DCF or None
    wider : Fit or None
        The same with more axes, where the first are the same however many there are: by it one sees whether the last
        of `dim` can be told from the next.
    """

    encode: Callable[[xr.Dataset], np.ndarray]
    rebuild: Callable[[np.ndarray], np.ndarray] | None
    preparation: Preprocessor
    ordered: bool
    spectrum: np.ndarray | None
    seconds: float
    samples: int
    model: DCF | None = None
    wider: Fit | None = None

    def prepare(self, recording: xr.Dataset) -> np.ndarray:
        """Prepared frames (time, channel)."""
        return flatten_frames(self.preparation.apply(recording))


@dataclass(frozen=True)
class Method:
    """A method by name: `fit` takes a recording, dim, the preparation's settings, a seed and whether to be quick.

    `learned` methods differ from seed to seed.
    """

    name: str
    fit: Callable[[xr.Dataset, int, Mapping[str, Any], int, bool], Fit]
    learned: bool


def find_methods() -> list[Method]:
    """List every method that is installed, PCA first and DCF last."""
    rivals = [Method(r.name, _wrap(r), r.learned) for r in find_rivals()]
    perceptron = Method(PERCEPTRON, functools.partial(fit_dcf, network="mlp"), learned=True)
    return [*rivals, perceptron, Method("DCF", fit_dcf, learned=True)]


def find_timed_methods() -> list[Method]:
    """List the methods of `find_methods`, and the autoencoders that a user would pick instead."""
    return [*find_methods(), *(Method(r.name, _wrap(r), r.learned) for r in find_tuned())]


def fit_dcf(recording: xr.Dataset, dim: int, settings: Mapping[str, Any], seed: int, quick: bool, **others: Any) -> Fit:
    """Fit DCF at its default for this kind of recording; `others` are settings in place of those."""
    model = DCF(dim, seed=seed, settings={**settings, **(QUICK if quick else {}), **others}).fit(recording)
    fitted, more = model.fitted_, min(dim + MORE, model.k_max_)
    fit = Fit(
        encode=lambda r: np.asarray(model.transform(r)["data"].values),
        rebuild=model.reconstruct,
        preparation=fitted.preparation,
        ordered=True,
        spectrum=model.spectrum_[:dim],
        seconds=fitted.timing["seconds"],
        samples=round(fitted.timing["seconds"] * fitted.timing["samples_per_s"]),
        model=model,
    )
    wider = dataclasses.replace(
        fit,
        encode=lambda r: np.asarray(model.transform(r, more)["data"].values),
        spectrum=model.spectrum_[:more],
    )
    return dataclasses.replace(fit, wider=wider)


def _wrap(rival: Rival) -> Callable[[xr.Dataset, int, Mapping[str, Any], int, bool], Fit]:
    def fit(recording: xr.Dataset, dim: int, settings: Mapping[str, Any], seed: int, quick: bool) -> Fit:
        fitted = fit_once(recording, dim, settings, seed, quick)
        wider = fit_once(recording, dim + MORE, settings, seed, quick) if rival.nested else None
        return dataclasses.replace(fitted, wider=wider)

    def fit_once(recording: xr.Dataset, dim: int, settings: Mapping[str, Any], seed: int, quick: bool) -> Fit:
        preparation = fit_preprocessor(recording, make_config("default", {"dim": dim, **settings}).prepare)

        def read(r: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
            return flatten_frames(preparation.apply(r)), r["segment_index"].values

        started = time.perf_counter()
        x, segment = read(recording)
        code = rival.fit(x, segment, dim, seed, QUICK["steps"] if quick else RIVAL_STEPS)
        seconds = time.perf_counter() - started
        spectrum = np.var(code.encode(x, segment), axis=0) if code.ordered else None
        return Fit(
            lambda r: np.asarray(code.encode(*read(r))),
            code.rebuild,
            preparation,
            code.ordered,
            spectrum,
            seconds,
            code.samples,
        )

    return fit
