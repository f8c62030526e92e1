"""DCF: the estimator of scikit-learn's kind, a thin face of `FittedModel` that answers in the kind of its input."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import xarray as xr
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import validate_data

from ..data.arrays import Input, InputAdapter, as_recording
from ..data.far_frames import MAX_DISTANCE
from ..data.recording import name_kind
from ..data.result import DCFResult
from ..errors import DOUBT, DataError, ParameterError
from .data_driven import settle_config
from .distance import check_distance
from .fit import fit
from .fitted import FittedModel, PreparedFrames
from .persistent import Persistent
from .rollout import Plan, Starts, simulate, simulate_paths

if TYPE_CHECKING:
    from jaxtyping import Float, Real

    from ..config.progress import Progress


@dataclass(eq=False, repr=False)
class DCF(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Persistent):  # type: ignore[misc]  # untyped
    """Dynamic Compression Flows: a few ordered latents of a recording, and the flows behind them.

    Parameters
    ----------
    dim : int or "auto"
        Number of latents; ``auto`` lets the data choose (`nwb_dcf.estimator.dimensionality.choose_dimension`).
    preset : {"default", "paper", "authors"}
        Where settings left at None come from; see `nwb_dcf.config.presets`.
    seed : int
        Of everything random: the same seed gives the same result to the bit on the same CPU.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train; ``auto`` takes a GPU where there is one.
    transformation : {"auto", "sqrt", "none"}, optional
        ``auto`` takes the square root of counts. Integer arrays are counts.
    smooth : float or "auto", optional
        Standard deviation of a Gaussian in seconds (frames for bare arrays). ``auto``, the default, lets counts choose
        (`estimator.smoothing_and_scale`); values are not smoothed. ``"standard"``: 0.04 s for spikes, 2 frames for
        other counts, as bare arrays get in any case.
    scale : {"auto", "global", "soft", "zscore", "none"}, optional
        ``global`` is one number for all channels, ``soft`` divides each by its standard deviation + their median.
        ``auto`` lets counts choose between ``soft`` and ``zscore``, and is ``global`` for values.
    network : {"auto", "mlp", "unet"}, optional
        ``mlp`` by default, for images (time, y, x) on their principal axes; ``unet`` is for images alone.
    k_max, history, width, depth, bridge_noise, solver, solver_steps : optional
        See `nwb_dcf.config.ModelConfig`.
    steps, batch_size, learning_rate, held_out, early_stopping : optional
        See `nwb_dcf.config.TrainConfig`.
    settings : mapping, optional
        Any other setting of the three configurations, by name.
    warm_start : DCF, DCFResult or bool, optional
        A fit of the same channels and dim to start from, or True for the last one of this object. Training starts at
        its networks and ends as soon as held-out losses stop falling. scikit-learn's ``clone`` empties a DCF; a
        result stays.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` every few steps.
    keep_partial : bool
        Whether Ctrl-C keeps the partly trained model instead of raising KeyboardInterrupt.

    Attributes
    ----------
    dim_, k_max_, k_eff_ : int
        Latents, axes, and the axes that hold 95 % of the variance.
    dimension_ : DimensionChoice or None
        With ``dim="auto"`` the choice with its curve and its reason.
    smoothing_ : SmoothingChoice or None
        How smoothing and scale were chosen, or why not; None where they were given or values are no counts.
    spectrum_ : array, shape (component,)
        d, the variance of each axis in prepared units squared.
    loadings_, mean_ : array, shapes (channel, component), (channel,)
        L and b; the pixels of images row by row.
    steps_ : dict
        Steps chosen on held-out segments for ``u`` and ``v``; 0 means that the closed-form initial model was best.
    config_, preparation_
        Settings and statistics with which new data are prepared.

    Notes
    -----
    A transformer of scikit-learn: it stands in a Pipeline, in GridSearchCV and cross_val_score. Rows of a bare array
    follow each other in time, so that where a splitter takes some out, the two ends of the gap count as neighbours.
    Give trials as a list of arrays, or as a DataArray with the coordinate ``segment_index``, to have them kept apart;
    `groups` then holds the group of each.

    The latents are mu(x): zero mean and unit variance in training, ordered by the variance they stand for.

    References
    ----------
    Wei, De Albuquerque, Martinez, Pan, Pearson, "Dynamic Compression Flows for Neuroscience Data", ICML
    2026, sections 2 to 4.

    Examples
    --------
    >>> import numpy as np
    >>> from nwb_dcf import DCF
    >>> t = np.linspace(0, 20, 400)[:, None]
    >>> x = np.hstack([np.sin(t + k) for k in range(8)])
    >>> z = DCF(dim=2, steps=20).fit(x).transform(x)
    >>> z.shape
    (400, 2)
    """

    dim: int | Literal["auto"] = 3
    _: KW_ONLY
    preset: str = "default"
    seed: int = 0
    device: str = "auto"
    transformation: str | None = None
    smooth: float | str | None = None
    scale: str | None = None
    k_max: int | None = None
    network: str | None = None
    history: int | None = None
    width: int | None = None
    depth: int | None = None
    bridge_noise: float | None = None
    solver: str | None = None
    solver_steps: int | None = None
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    held_out: float | None = None
    early_stopping: bool | None = None
    settings: Mapping[str, Any] | None = None
    warm_start: DCF | DCFResult | bool | None = None
    progress: Callable[[Progress], None] | None = None
    keep_partial: bool = False

    # -- fitting ---------------------------------------------------------------------------------

    def fit(self, x: Input, y: None = None) -> Self:
        """Fit to `x`: a recording, a DataArray or array (time, channel), images (time, y, x), or a list of them.

        Images are given as a DataArray of these dims, or with ``network="unet"``: a bare array of three dims may as
        well be (trial, time, unit), and is refused.

        Segments of `x` are held out only to choose the number of steps; then all are used. With ``dim="auto"``
        a UserWarning is issued where the data support no dimension, or cannot choose one; and another where a bare
        array has fewer frames than channels.

        Raises
        ------
        ParameterError
            If `dim` exceeds the usable channels, or a parameter is invalid.
        DataError
            If values are not finite, all constant, or too few.
        TrainingError
            If a loss is not finite.
        """
        # scikit-learn clones estimators before fit: everything is resolved here and nothing in __init__
        recording = as_recording(x, images=self.network == "unet").recording  # which is for images alone
        warm_start = self._read_warm_start()
        for note in recording.attrs["notes"]:
            if note.startswith(DOUBT):
                warnings.warn(note, UserWarning, stacklevel=2)
        self.__dict__.pop("feature_names_in_", None)
        settled = settle_config(
            recording, self.make_config(kind=name_kind(recording)), self.dim, progress=self.progress
        )
        choice = settled.dimension
        if choice and not choice.supported:
            warnings.warn(choice.rule, UserWarning, stacklevel=2)
        fitted = fit(
            recording, settled.config, warm_start=warm_start, progress=self.progress, keep_partial=self.keep_partial
        )
        self._adopt(fitted, choice, settled.smoothing)
        if hasattr(x, "columns"):
            validate_data(self, x, skip_check_array=True)  # keeps the names of its columns
        return self

    # -- using -----------------------------------------------------------------------------------

    def transform(self, x: Input, dim: int | None = None, *, max_distance: float = MAX_DISTANCE) -> Any:
        """Encode frames: latents (time, dim) in the kind of the input.

        Parameters
        ----------
        x : recording, DataArray, array or list, of the channels that were fitted
        dim : int, optional
            A prefix of the latents, at most ``k_max_``; ``dim_`` by default.
        max_distance : float
            How far from the mean of the fitted frames a frame may lie, in units of their own RMS distance from it;
            10 by default.

        Raises
        ------
        DataError
            If more than one frame in a hundred lies further away; fewer give a UserWarning.
        """
        k, (given, frames) = self._check_dim(dim), self._prepare(x)
        for note in check_distance(self.fitted_, frames, max_distance=max_distance):
            warnings.warn(note, UserWarning, stacklevel=2)
        return self._answer(given, self.fitted_.encode(frames, k))

    def flow(self, x: Input) -> Any:
        """Compute flowed latents (time, dim): frames integrated by u to tau = 0, read on the axes (section 4)."""
        given, frames = self._prepare(x)
        return self._answer(given, self.fitted_.flow(frames))

    def velocity(self, x: Input) -> Any:
        """Compute velocity (time, dim) in latent units per second: v at tau = 0, s = 0 at the encoder's point."""
        given, frames = self._prepare(x)
        return self._answer(given, self.fitted_.velocity(frames), units="1/s")

    def velocity_at(self, z: Real[np.ndarray, "point latent"]) -> Float[np.ndarray, "point latent"]:
        """Compute latent velocity in latent units per second at points, with a constant history."""
        points = np.asarray(z, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != self.dim_:
            raise DataError(f"points have shape {points.shape}", fix=f"give (n, {self.dim_})")
        return self.fitted_.velocity_at(points)

    def compress(self, x: Input) -> Float[np.ndarray, "time channel"]:
        """Compute states at tau = 0 in prepared units: frames integrated by u (section 2.3)."""
        return self.fitted_.compress(self._prepare(x)[1])

    def expand(self, states: Real[np.ndarray, "time channel"]) -> Float[np.ndarray, "time channel"]:
        """Compute frames at tau = 1 in prepared units: the inverse of `compress`."""
        n_channels = self.fitted_.model.n_channels
        if np.shape(states)[1:] != (n_channels,):
            raise DataError(f"states have shape {np.shape(states)}", fix=f"give (time, {n_channels})")
        return self.fitted_.expand(states)

    def prepare(self, x: Input) -> Float[np.ndarray, "time channel"]:
        """Return `x` as the model sees it: transformed, smoothed, scaled; pixels row by row."""
        return self._prepare(x)[1].values

    def inverse_transform(self, z: Any) -> Any:
        """Reconstruct frames from the first K latents of each, in the data's own unit.

        Gives the mean of the data given those latents: they are placed on the axes, all other coordinates are 0,
        and u at tau = 0 adds the conditional mean of the rest (presets ``paper`` and ``authors`` integrate u to
        tau = 1 instead, which gives a typical frame). Scale and square root are undone; smoothing cannot be. The
        square of a mean root is below the mean: `rates` gives expected counts.

        Parameters
        ----------
        z : recording, DataArray, array or list with (time, K)
            Latents, as `transform` returns them for any ``dim`` from 1 to ``k_max_``: one fit serves every K.

        Returns
        -------
        (time, channel), or (time, y, x) where images were fitted, in the kind of the input.

        Raises
        ------
        DataError
            If there are more than ``k_max_`` latents a frame.
        """
        return self._answer_frames(z, self.fitted_.reconstruct_data)

    def rates(self, z: Any) -> Any:
        """Compute the expected counts of each bin from the first K latents of each frame.

        A Poisson regression calibrates each unit: on the training frames the mean rate from ``dim_`` latents equals
        the mean count. Fits of images and fits stored before calibration give the rate whose Poisson counts have the
        reconstructed root as their mean root, which is too low where counts vary more than Poisson's
        (``fitted_.calibration`` is None).

        Returns
        -------
        (time, channel), counts of a bin, 0 or more, in the kind of the input.

        Raises
        ------
        DataError
            If what was fitted were no counts, or there are more than ``k_max_`` latents a frame.
        """
        return self._answer_frames(z, self.fitted_.rates)

    def _answer_frames(self, z: Any, reconstruct: Callable[[np.ndarray], np.ndarray]) -> Any:
        # latents come back in the kind of the input, with its times and segments
        fitted, given = self.fitted_, as_recording(z)
        frames = reconstruct(given.recording["data"].values)
        ids = {dim: np.asarray(values) for dim, values in fitted.frame_ids.items()}
        return given.answer_frames(frames, ids, fitted.units)

    def reconstruct(self, z: Real[np.ndarray, "time k"], decoder: str = "") -> Float[np.ndarray, "time channel"]:
        """Reconstruct frames as `inverse_transform` does, in prepared units, from latents (time, k) of any prefix.

        `decoder` is ``"mean"``, ``"flow"`` (u integrated from tau = 0 to 1), or by default the configured one.
        """
        self._check_dim(z.shape[1])
        return self.fitted_.reconstruct(z, decoder)

    def simulate(
        self,
        x: Input,
        n_frames: int = 50,
        *,
        tau: float = 0.0,
        starts: Starts = "last",
        n_paths: int | None = None,
        seed: int = 0,
    ) -> Any:
        """Continue `x` by the dynamics of the model: v integrated from a start with its history (paper, section 4).

        Each start is prepared from the frames up to it alone, as it would be online.

        Parameters
        ----------
        x : recording, DataArray, array, images or list
            The past; h + 1 frames of it are used where a segment has as many.
        n_frames : int
            Frames to simulate, of the step of the fitted recording.
        tau : float
            Compression level: 0 simulates latents, 1 the data themselves, between them states in prepared units.
        starts : {"last", "first"} or frames
            The last frame of each segment, the first that has its history, or places of frames in `x`.
        n_paths : int, optional
            Paths from each start, whose states get the bridge's noise; by default one without noise.
        seed : int
            Of that noise.

        Returns
        -------
        In the kind of the input
            An array gives (n_frames, dim), or (n_frames, channel) where `tau` is above 0; frames as `starts` put
            an axis of starts before it, and `n_paths` one of paths before n_frames. A recording gives one whose
            segments are the paths, with ``trial_start_s`` and ``trial_path``; a DataArray holds the paths one
            after the other, with ``start_s`` and ``path`` of each frame.

        Raises
        ------
        ParameterError
            If an argument is invalid.
        DataError
            If a path leaves all bounds.
        """
        return _answer_paths(self.fitted_, self._read(x), Plan(n_frames, tau, starts, n_paths, seed))

    def score(self, x: Input, y: None = None) -> float:
        """Compute R2 of prepared `x` reconstructed from ``dim_`` latents a frame (the bottleneck reconstruction)."""
        return self.fitted_.score(self._prepare(x)[1])

    def __sklearn_tags__(self) -> Any:
        # scikit-learn's estimator checks read these tags
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]  # latents are float32 whatever comes in
        return tags

    # -- plumbing --------------------------------------------------------------------------------

    def _read(self, x: Input) -> InputAdapter:
        return as_recording(x, images=self.fitted_.pixels is not None)

    def _prepare(self, x: Input) -> tuple[InputAdapter, PreparedFrames]:
        given = self._read(x)
        if hasattr(x, "columns"):
            validate_data(self, x, skip_check_array=True, reset=False)  # other columns are refused
        return given, self.fitted_.prepare(given.recording)

    def _answer(self, given: InputAdapter, latents: np.ndarray, units: str = "1") -> Any:
        return given.answer(latents, "latent", np.arange(1, latents.shape[1] + 1), units)

    def _check_dim(self, dim: int | None) -> int:
        most = self.fitted_.model.k_max
        k = self.dim_ if dim is None else dim
        if not isinstance(k, Integral) or not 1 <= k <= most:
            raise ParameterError(f"dim is {k}", fix=f"give a whole number from 1 to {most} (k_max)")
        return int(k)


def _answer_paths(fitted: FittedModel, given: InputAdapter, plan: Plan) -> Any:
    """Simulate, and answer in the kind of the input; see `DCF.simulate`."""
    if given.kind == "list":
        # noise must differ between the items of a list, and not depend on how many there are before
        seeds = np.random.SeedSequence(plan.seed).generate_state(len(given.original))
        plans = [replace(plan, seed=int(seed)) for seed in seeds]
        return [_answer_paths(fitted, item, one) for item, one in zip(given.original, plans, strict=True)]
    if given.kind == "array":
        paths = simulate_paths(fitted, given.recording, plan)[1]
        paths = paths if plan.n_paths else paths[:, 0]
        return paths[0] if isinstance(plan.starts, str) else paths
    continued = simulate(fitted, given.recording, plan)
    return continued if given.kind == "recording" else _as_dataarray(continued)


def _as_dataarray(continued: xr.Dataset) -> xr.DataArray:
    """The paths one after the other, with the start and the path of each frame."""
    data, index = continued["data"], continued["segment_index"].values
    columns = {name: ("time", continued[f"trial_{name}"].values[index]) for name in ("start_s", "path")}
    return data.drop_vars("segment_index").assign_coords(columns)


_transform_to_container = DCF.transform  # as scikit-learn wraps it, for `set_output`


@functools.wraps(_transform_to_container)
def _transform(self: DCF, x: Input, dim: int | None = None, *, max_distance: float = MAX_DISTANCE) -> Any:
    # Recordings, DataArrays and lists stay what they are: a table would lose their time and segments.
    keeps_kind = isinstance(x, xr.Dataset | xr.DataArray) or (
        isinstance(x, list | tuple) and x and hasattr(x[0], "shape")
    )
    wrapped: Any = _transform_to_container
    return (wrapped.__wrapped__ if keeps_kind else wrapped)(self, x, dim, max_distance=max_distance)


def _fit_transform(self: DCF, x: Input, y: None = None) -> Any:
    """Fit to `x`, and transform it."""
    return self.fit(x, y).transform(x)


DCF.fit_transform = _fit_transform
DCF.transform = _transform  # type: ignore[method-assign]
