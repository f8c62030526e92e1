"""The methods that DCF is compared with, and how one of the user's own is found."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import inspect
import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import ParameterError, name_arguments
from ..metrics import compute_pca_axes
from .watch import Watch

if TYPE_CHECKING:
    from jaxtyping import Float, Int

DIM_NAMES = ("n_components", "dim", "output_dimension", "n_latents")
CEBRA_STEPS, CEBRA_BATCH = 10_000, 512  # its authors' default, and their advice
CEBRA_TOGETHER = 100  # steps between two looks at the clock
GPFA_BINS = 200  # of a trial at most: its memory and time grow with the square and the cube of them
MOST_INPUTS = 256  # wider frames enter the other methods by as many principal axes


@dataclass(frozen=True)
class Frames:
    """What a method is given.

    Attributes
    ----------
    x : array, shape (time, channel)
        Prepared frames: transformed, smoothed and scaled as DCF's are.
    segment : array of int, shape (time,)
        Segment of each frame, in blocks.
    counts : array, shape (time, channel), or None
        Spikes of each bin, for methods that prepare them by themselves.
    step_s : float
        Seconds between frames.
    """

    x: Float[np.ndarray, "time channel"]
    segment: Int[np.ndarray, " time"]
    counts: Float[np.ndarray, "time channel"] | None
    step_s: float


class Encoder(Protocol):
    """A fitted method."""

    def encode(self, frames: Frames) -> Float[np.ndarray, "time latent"]:
        """Give the latents of frames."""
        ...

    def reconstruct(self, latents: Float[np.ndarray, "time latent"]) -> Float[np.ndarray, "time channel"] | None:
        """Give prepared frames back from latents; None where the method cannot."""
        ...


@dataclass(frozen=True)
class Method:
    """A method by name.

    Attributes
    ----------
    name : str
    fit : function of (frames, dim, seed)
        Gives an `Encoder`.
    package : str
        That has to be installed; empty where this package's own dependencies are enough.
    seeded : bool
        Whether one seed gives one result. A method without is fitted twice, and the difference is reported.
    counts : bool
        Whether it takes spikes alone.
    watched : bool
        Whether `fit` takes a `nwb_dcf.compare.watch.Watch` as ``watch``, and reports its steps to it.
    """

    name: str
    fit: Callable[..., Encoder]
    package: str = ""
    seeded: bool = True
    counts: bool = False
    watched: bool = False

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return not self.package or importlib.util.find_spec(self.package) is not None


class _Estimator:
    """An estimator in scikit-learn's manner, behind principal axes where frames are wide."""

    note = ""  # what a reader has to know of this fit

    def __init__(self, estimator: Any, frames: Frames, *, fit: Callable[[Any, Any, Any], Any] | None = None) -> None:
        self.estimator, self.mean, self.axes = estimator, np.zeros(1), None
        if frames.x.shape[1] > MOST_INPUTS:
            # a video has more pixels than frames: networks and UMAP would take hours on what PCA holds nearly all of
            self.mean, axes = compute_pca_axes(frames.x, min(MOST_INPUTS, len(frames.x) - 1))
            self.axes = axes.T
        x = self._read(frames.x)
        with _use_one_thread():
            fit(estimator, x, frames.segment) if fit else estimator.fit(x)

    def _read(self, x: Float[np.ndarray, "time channel"]) -> Float[np.ndarray, "time input"]:
        return np.asarray(x if self.axes is None else (x - self.mean) @ self.axes.T)

    def encode(self, frames: Frames) -> Float[np.ndarray, "time latent"]:
        with _use_one_thread():
            return np.asarray(self.estimator.transform(self._read(frames.x)), np.float64)

    def reconstruct(self, latents: Float[np.ndarray, "time latent"]) -> Float[np.ndarray, "time channel"] | None:
        if not hasattr(self.estimator, "inverse_transform"):
            return None
        back = np.asarray(self.estimator.inverse_transform(latents))
        return np.asarray(back if self.axes is None else back @ self.axes + self.mean)


def _use_one_thread() -> contextlib.AbstractContextManager[None]:
    """Let torch use one thread for a while, and leave it as many as it had.

    Two that spin while they wait for each other took CEBRA 8 to 17 times the CPU seconds of one (RESULTS.md), and UMAP
    leaves as many as there are cores, whatever was set before.
    """
    from ..model.parallel import use_threads  # torch

    return use_threads(1)


class _PrincipalAxes:
    """The project's own PCA, which every score of a fit stands beside."""

    def __init__(self, frames: Frames, dim: int) -> None:
        self.mean, self.axes = compute_pca_axes(frames.x, dim)

    def encode(self, frames: Frames) -> Float[np.ndarray, "time latent"]:
        return np.asarray((frames.x - self.mean) @ self.axes)

    def reconstruct(self, latents: Float[np.ndarray, "time latent"]) -> Float[np.ndarray, "time channel"]:
        return np.asarray(latents @ self.axes.T + self.mean)


def _fit_pca(frames: Frames, dim: int, seed: int) -> Encoder:
    return _PrincipalAxes(frames, dim)  # without a seed: the baseline must not depend on it


def _fit_factor_analysis(frames: Frames, dim: int, seed: int) -> Encoder:
    from sklearn.decomposition import FactorAnalysis

    # scikit-learn's factor analysis has no way back; its model is x = z L + mean
    class Factors(FactorAnalysis):  # type: ignore[misc]
        def inverse_transform(self, latents: Any) -> Any:
            return latents @ self.components_ + self.mean_

    return _Estimator(Factors(dim, random_state=seed), frames)


def _fit_network(name: str, variational: bool) -> Callable[..., Encoder]:
    def fit(frames: Frames, dim: int, seed: int, watch: Watch | None = None) -> Encoder:
        from ..estimator.autoencoder import Autoencoder  # torch

        net = Autoencoder(dim, variational=variational, seed=seed)
        report = (watch or Watch()).begin(name)
        return _Estimator(net, frames, fit=lambda net, x, segment: net.fit(x, segment, report=report))

    return fit


def _fit_umap(frames: Frames, dim: int, seed: int) -> Encoder:
    from umap import UMAP

    class Embedding(UMAP):  # type: ignore[misc]
        # UMAP's own way back extrapolates by a Delaunay triangulation: minutes, and meaningless beyond three latents
        @property
        def inverse_transform(self) -> Any:
            raise AttributeError("left out")

    # one thread: umap-learn is repeatable only so, and warns if asked for more beside a seed
    return _Estimator(Embedding(n_components=dim, random_state=seed, n_jobs=1), frames)


def _fit_cebra(frames: Frames, dim: int, seed: int, watch: Watch | None = None) -> Encoder:
    import cebra

    watch, done = watch or Watch(), 0
    report = watch.begin("CEBRA-Time")

    def train(model: Any, x: Any, _: Any) -> None:
        nonlocal done
        x, started = np.asarray(x, np.float32), time.perf_counter()
        while done < CEBRA_STEPS and (not done or time.perf_counter() - started < watch.longest_s):
            # it goes on where it was; what is stopped from within its own loop is no fitted model
            model.partial_fit(x)
            done += model.max_iterations
            report(done, CEBRA_STEPS)

    # CEBRA-Time, without behaviour as all others; pairs lie a tenth of a second apart
    model = cebra.CEBRA(
        model_architecture="offset1-model",
        output_dimension=dim,
        max_iterations=min(CEBRA_TOGETHER, CEBRA_STEPS),
        batch_size=min(CEBRA_BATCH, len(frames.x)),
        learning_rate=3e-4,
        temperature_mode="auto",
        conditional="time",
        time_offsets=max(1, round(0.1 / frames.step_s)),
        device="cpu",
        verbose=False,
    )
    encoder = _Estimator(model, frames, fit=train)
    encoder.note = f"{done:,} steps, its authors' default"
    if done < CEBRA_STEPS:
        stopped = f"stopped after {watch.longest_s:g} s at step {done:,} of its authors' {CEBRA_STEPS:,}"
        encoder.note = name_arguments(f"{stopped}, and may be better than it looks: --longest gives it more seconds")
    return encoder


class _GPFA:
    """GPFA of elephant, which wants spike trains: each spike stands in the middle of its bin."""

    def __init__(self, frames: Frames, dim: int) -> None:
        import quantities
        from elephant.gpfa import GPFA

        # the bins of all methods: GPFA takes square roots by itself, and its smoothing is what it learns
        self.model = GPFA(bin_size=frames.step_s * quantities.s, x_dim=dim, em_max_iters=200, verbose=False)
        with _silence():
            self.model.fit(self._list_trains(frames))

    def encode(self, frames: Frames) -> Float[np.ndarray, "time latent"]:
        with _silence():
            found = self.model.transform(self._list_trains(frames), returned_data=["latent_variable_orth"])
        # elephant gives (latent, bin) for each trial, in the order in which trials were given
        return np.concatenate([np.asarray(trial, np.float64).T for trial in found])

    def reconstruct(self, latents: Float[np.ndarray, "time latent"]) -> None:
        return None  # it reconstructs square roots of raw counts, not the frames of the others

    def _list_trains(self, frames: Frames) -> list[Any]:
        import neo

        counts = frames.counts
        if counts is None:
            raise ParameterError("GPFA takes spikes, and these frames are no counts", fix="leave gpfa out")
        trials = []
        for index in np.unique(frames.segment):
            # counts of partly observed bins were divided by the observed fraction, and spikes are whole
            part = counts[frames.segment == index].round().astype(int)
            for piece in np.array_split(part, -(-len(part) // GPFA_BINS)):
                middle = (np.arange(len(piece)) + 0.5) * frames.step_s
                stop = len(piece) * frames.step_s
                trials.append([neo.SpikeTrain(np.repeat(middle, n), units="s", t_stop=stop) for n in piece.T])
        return trials


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep elephant's prints off stdout, which belongs to our report, and its words on single trials off stderr."""
    # the level that was set before, which a user may have chosen
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each trial of less than 20 bins, which it does not learn from
            yield
    finally:
        logging.disable(before)


def _fit_gpfa(frames: Frames, dim: int, seed: int) -> Encoder:
    state = np.random.get_state()  # noqa: NPY002 - elephant draws from numpy's global generator
    np.random.seed(seed)  # noqa: NPY002
    try:
        return _GPFA(frames, dim)
    finally:
        np.random.set_state(state)  # noqa: NPY002


METHODS = {
    "pca": Method("PCA", _fit_pca),
    "fa": Method("factor analysis", _fit_factor_analysis),
    "autoencoder": Method("autoencoder", _fit_network("autoencoder", False), watched=True),
    "vae": Method("VAE", _fit_network("VAE", True), watched=True),
    "gpfa": Method("GPFA", _fit_gpfa, "elephant", counts=True),
    "umap": Method("UMAP", _fit_umap, "umap"),
    "cebra": Method("CEBRA-Time", _fit_cebra, "cebra", seeded=False, watched=True),
}


def choose_methods(
    names: Sequence[str] | None, own: Sequence[str], *, counts: bool, watch: Watch | None = None
) -> tuple[list[Method], list[str]]:
    """List the methods to compare with, and notes on those that are left out.

    Parameters
    ----------
    names : sequence of str, optional
        Of `METHODS`; by default all that are installed and suit the data.
    own : sequence of str
        ``module:Class`` of the user's own estimators.
    counts : bool
        Whether the frames are counts of spikes.
    watch : Watch, optional
        That methods whose steps can be seen report to.

    Returns
    -------
    methods : list of Method
    notes : list of str

    Raises
    ------
    ParameterError
        If a name is unknown, a package that was asked for is not installed, or a class cannot be used.
    """
    unknown = [name for name in names or () if name not in METHODS]
    if unknown:
        raise ParameterError(f"there is no method {unknown[0]!r}", fix=f"choose from {', '.join(METHODS)}")
    chosen, notes = [], []
    # what is asked for by name must be there; of the default list, what cannot be used is left out with a note
    for key in names if names is not None else METHODS:
        method = METHODS[key]
        if method.counts and not counts:
            problem, fix = f"{method.name} takes spikes, and these frames are no counts", f"leave {key} out"
        elif not method.installed:
            problem, fix = (
                f"{method.name} needs {method.package}, which is not installed",
                "pip install 'nwb-dcf[compare]'",
            )
        else:
            fit = partial(method.fit, watch=watch) if method.watched else method.fit
            chosen.append(dataclasses.replace(method, fit=fit))
            continue
        if names is not None:
            raise ParameterError(problem, fix=fix)
        notes.append(f"{problem}: left out")
    return [*chosen, *map(load_method, own)], notes


def load_method(address: str) -> Method:
    """Load an estimator of the user's own.

    Parameters
    ----------
    address : str
        ``module:Class``; its ``fit`` and ``transform`` take frames (time, channel), ``inverse_transform`` latents.

    Raises
    ------
    ParameterError
        If it cannot be imported, or has no ``fit`` and ``transform``, or takes no number of latents.
    """
    module_name, _, class_name = address.partition(":")
    if not module_name or not class_name:
        raise ParameterError(f"the rival is {address!r}", fix="give module:Class, as sklearn.decomposition:FastICA")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ParameterError(
            f"{address} cannot be imported: {error}", fix="install it, or add its folder to PYTHONPATH"
        ) from error
    lacking = [name for name in ("fit", "transform") if not callable(getattr(found, name, None))]
    if lacking:
        raise ParameterError(
            f"{address} has no {' and no '.join(lacking)}", fix="name a class that has fit and transform"
        )
    # by its signature, since scikit-learn, CEBRA and others call the same argument differently
    accepted = inspect.signature(found).parameters
    dim_name = next((name for name in DIM_NAMES if name in accepted), None)
    if dim_name is None:
        raise ParameterError(
            f"{address} takes no number of latents", fix="name its argument n_components, dim or output_dimension"
        )
    seed_name = next((name for name in ("random_state", "seed") if name in accepted), None)

    def fit(frames: Frames, dim: int, seed: int) -> Encoder:
        return _Estimator(found(**{dim_name: dim}, **({seed_name: seed} if seed_name else {})), frames)

    # without an argument for a seed it may differ from fit to fit: fitted twice, as CEBRA
    return Method(class_name, fit, seeded=seed_name is not None)
