"""The number of dimensions that a recording supports, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np
import xarray as xr

from ..config import FitConfig, PrepareConfig
from ..data.preprocessing import fit_preprocessor
from ..data.recording import IMAGE_DIMS, flatten_frames, frame_dims
from ..data.records import DimensionRecord
from ..errors import ParameterError
from ..metrics.shared_variance import HalvedRecording

DEFAULT_DIM = 3  # where the data cannot choose
MOST = 12
LEAST_CHANNELS = 8  # fewer give halves too small to predict each other
LEAST_FRAMES = 200
LEAST_TRIALS = 20  # fewer segments are cut in blocks instead
N_BLOCKS = 40
LEVEL = 0.01  # of the test of each further dimension
CURVED = 0.25  # a component whose dependence on earlier ones is larger is a curve of theirs, not a dimension


class ComponentRecord(TypedDict):
    """Evidence of one component, see `DimensionChoice.curve`."""

    shared: float
    p_value: float
    dependence: float
    counted: bool


@dataclass(frozen=True)
class DimensionChoice:
    """A number of dimensions with its evidence.

    Attributes
    ----------
    dim : int
        The choice, 1 or more.
    curve : xarray.Dataset
        Over ``component`` 1, 2, ...: ``shared``, variance common to two halves of the channels along it on held-out
        blocks, in prepared units squared; ``p_value`` of its test; ``dependence``, the fraction that is a function
        of earlier ones; ``counted`` (bool). NaN where nothing was measured: after the first that is not significant.
    rule : str
        How it was chosen and the result, in a sentence.
    chosen : bool
        Whether the data chose; False where they cannot.
    supported : bool
        Whether any dimension is there; False also where the data cannot choose.
    """

    dim: int
    curve: xr.Dataset
    rule: str
    chosen: bool
    supported: bool

    def to_dict(self) -> DimensionRecord:
        """Return all of it as JSON-able values; NaN as None."""
        columns = {
            str(name): [None if value != value else value for value in values.values.tolist()]
            for name, values in self.curve.data_vars.items()
        }
        curve = {"component": self.curve["component"].values.tolist(), **columns}
        return {"dim": self.dim, "chosen": self.chosen, "supported": self.supported, "rule": self.rule, "curve": curve}


def choose_dimension(
    recording: xr.Dataset, config: PrepareConfig | None = None, *, most: int = MOST, seed: int = 0
) -> DimensionChoice:
    """Count the shared dimensions of the channels of a recording.

    Parameters
    ----------
    recording : xarray.Dataset
        Spikes, calcium or other channels, as `nwb_dcf.data.recording` defines it.
    config : PrepareConfig, optional
        How the values are prepared, as in the fit.
    most : int
        Dimensions at most.
    seed : int
        Of the halves of the channels.

    Returns
    -------
    DimensionChoice

    Raises
    ------
    ParameterError
        If `most` is below 1.

    Notes
    -----
    The channels are divided in random halves. Directions that vary together in both are computed on training blocks
    and tested on held-out ones, so that neither spike noise nor signals of a single channel count. A dimension is
    counted where its shared variance is significant (``p < 0.01``, one after another until the first that is not)
    and at most a quarter of it is predicted by a quadratic function of the directions before it. The test flips
    signs over trials, or, for fewer than 20 segments, shifts the halves in time against each other.

    The count is that of the space in which a curved manifold lies: a ring has 2. A signal of very few
    channels, or one that only one of many halves sees, is not counted; shared noise (movement,
    neuropil, a common reference) is.

    Video, recordings of fewer than 8 channels that vary and recordings of fewer than 200 frames cannot choose: the
    result is 3, or the number of channels where that is smaller.

    Examples
    --------
    >>> from nwb_dcf.data.synthetic import simulate_dimensions
    >>> choice = choose_dimension(simulate_dimensions(2, seed=1).recording)
    >>> choice.dim, choice.chosen
    (2, True)
    """
    if not isinstance(most, int | np.integer) or isinstance(most, bool) or most < 1:
        raise ParameterError(f"most is {most!r}", fix="give a whole number, 1 or more")
    usable = flatten_frames(recording).std(axis=0, dtype=np.float64) > 0
    reason = _explain_refusal(recording, int(usable.sum()))
    if reason:
        dim = max(1, min(DEFAULT_DIM, int(usable.sum()), most))
        return DimensionChoice(dim, _make_curve([]), f"not chosen from the data: {reason}; {dim} taken", False, False)
    # as in the fit: smoothing decides which signals two halves have in common
    prepared = fit_preprocessor(recording, config or PrepareConfig()).apply(recording)
    x, block = prepared["data"].values[:, usable], prepared["segment_index"].values
    trials = recording.sizes["segment"] >= LEAST_TRIALS
    # a long recording without trials is cut into equal blocks, whose shifts give the null distribution
    if not trials:
        length = len(x) // N_BLOCKS
        x, block = x[: length * N_BLOCKS], np.repeat(np.arange(N_BLOCKS), length)
    halved = HalvedRecording.divide(x, block, most=int(most), seed=seed)
    rows, counted = _test_in_turn(halved, trials)
    found = _describe(rows, len(counted), frame_dims(recording)[0], trials)
    return DimensionChoice(max(1, len(counted)), _make_curve(rows), found, True, bool(counted))


def choose_for_fit(recording: xr.Dataset, config: FitConfig) -> tuple[DimensionChoice, FitConfig]:
    """Choose the dimension with the preparation, the seed and the most axes of `config`; return it with that `dim`."""
    most = min(MOST, config.model.k_max or MOST)
    choice = choose_dimension(recording, config.prepare, most=most, seed=config.train.seed)
    return choice, replace(config, model=replace(config.model, dim=choice.dim))


def _test_in_turn(halved: HalvedRecording, trials: bool) -> tuple[list[ComponentRecord], list[int]]:
    """Test components until the first that is not significant; return all, and which are dimensions."""
    shared = halved.gain.sum(axis=0) / len(halved.block)
    rows: list[ComponentRecord] = [
        {"shared": float(s), "p_value": np.nan, "dependence": np.nan, "counted": False} for s in shared
    ]
    counted: list[int] = []
    for k, row in enumerate(rows):
        row["p_value"] = halved.flip_signs(k) if trials else halved.shift_halves(k)
        # components are ordered by shared variance: behind the first that is noise no later one is tested
        if row["p_value"] >= LEVEL:
            break
        row["dependence"] = halved.measure_dependence(k)
        # an exponential or quadratic of earlier dimensions is significant too, and adds no dimension of the manifold
        if row["dependence"] <= CURVED:
            row["counted"] = True
            counted.append(k)
    return rows, counted


def _explain_refusal(recording: xr.Dataset, n_usable: int) -> str:
    """Why the data cannot choose; empty where they can."""
    source = str(recording.attrs.get("source", {}).get("type", ""))
    dims = frame_dims(recording)
    if dims == IMAGE_DIMS or "ImageSeries" in source:
        return "noise is common to neighbouring pixels, so that no half of them is independent of the other"
    if n_usable < LEAST_CHANNELS:
        return f"{n_usable} {dims[0]}s that vary are too few to predict one half of them from the other"
    if recording.sizes["time"] < LEAST_FRAMES:
        return f"{recording.sizes['time']} frames are too few"
    return ""


def _describe(rows: list[ComponentRecord], n_counted: int, dim: str, trials: bool) -> str:
    significant = sum(row["p_value"] < LEVEL for row in rows)
    test = "sign flips over trials" if trials else "halves shifted in time"
    how = (
        f"shared by random halves of the {dim}s on held-out {'trials' if trials else 'blocks'} ({test}, p < {LEVEL:g})"
    )
    if not n_counted:
        return f"no dimension is {how}: 1 taken, and nothing supports it"
    curved = significant - n_counted
    more = f"; {curved} more {'is a function' if curved == 1 else 'are functions'} of those" if curved else ""
    reached = (
        f"; all {len(rows)} that were tried are significant, there may be more" if significant == len(rows) else ""
    )
    return f"{n_counted} dimension{'s are' if n_counted > 1 else ' is'} {how}{more}{reached}"


def _make_curve(rows: list[ComponentRecord]) -> xr.Dataset:
    columns = {
        "shared": ("component", np.array([row["shared"] for row in rows], np.float64)),
        "p_value": ("component", np.array([row["p_value"] for row in rows], np.float64)),
        "dependence": ("component", np.array([row["dependence"] for row in rows], np.float64)),
        "counted": ("component", np.array([row["counted"] for row in rows], bool)),
    }
    return xr.Dataset(columns, coords={"component": np.arange(1, len(rows) + 1)})
