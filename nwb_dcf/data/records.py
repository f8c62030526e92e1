"""What is kept of a fit as text: where its values came from, how it was made, how good it is.

All of it is JSON-able. Keys that are not there were not asked for, or belong to fits of another version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NotRequired, TypedDict

from .certificate import CertificateLine

JSON = dict[str, Any]
"""A document whose keys are described where it is made, or are open, as settings of other versions are."""


PreprocessingStep = TypedDict(
    "PreprocessingStep",
    {
        "step": str,
        "how": str | list[str],
        "edges": str,
        "per": str,
        "sigma_s": float | list[float],
        "total variance": str,
    },
    total=False,
)
"""One step of a preparation, for ``recording.attrs["steps"]``."""


class LeftOut(TypedDict, total=False):
    """A channel, trial or source that is not in a recording; constant channels have a ``value``."""

    what: str
    id: Any
    why: str
    value: float
    channel: str


class SourceRecord(TypedDict, total=False):
    """The object that values were read from: ``recording.attrs["source"]``."""

    file: str
    identifier: str
    path: str
    type: str
    object_id: str | None
    nwb_version: str
    sha256: str | None
    values: int
    channel_rows: list[int]
    external: list[dict[str, str]]
    files: list[dict[str, str | int]]
    members: list[SourceRecord]
    label: str
    kind: str
    units: str
    segments: list[Any]


# by call, since a key that files have is no name of ours
SplitRecord = TypedDict(  # noqa: UP013
    "SplitRecord",
    {
        "training": int,
        "held_out": int,
        "rule": str,
        "share": float,
        "held_out_intervals_s": list[tuple[float, float]],
    },
    total=False,
)
"""How a recording was divided into what was fitted and what was held out; ``share`` is the fraction asked for."""


class ModelRecord(TypedDict, total=False):
    """The stored model that latents were made with, where it is another fit's."""

    file: str
    name: str
    sha256: str
    created: str | None
    source: SourceRecord


class WrittenRecord(TypedDict):
    """Where a fit was written."""

    file: str
    name: str
    notes: list[str]


class FrameSupport(TypedDict):
    """Frames that a number depends on around its own."""

    frames_before: int
    frames_after: int


class SmoothingSupport(TypedDict, total=False):
    """What a smoothed frame depends on."""

    sigma_s: float
    reach_s: float
    edges: str


class Support(TypedDict, total=False):
    """Frames that each latent depends on."""

    frames_before: int
    frames_after: int
    seconds: float
    flowed: FrameSupport
    velocity: FrameSupport
    causal: bool
    edges: str
    smoothing: SmoothingSupport


class Arguments(TypedDict):
    """What a fit was asked for beside its settings."""

    dim: int | str
    held_out: float
    null: int
    repeats: int


class MatchingRecord(TypedDict):
    """Which channel of a recording stands for which channel of a model, whose ids are ``model``."""

    by: list[str]
    model: list[Any]
    here: list[Any]


class SearchRecord(TypedDict, total=False):
    """How the number of steps was chosen: losses on held-out frames by step, None where a flow did not learn."""

    held_out: HeldOut
    tolerance: float
    settled: Any
    finished: Any
    step: list[int]
    held_out_cf: list[float | None]
    held_out_df: list[float | None]


class Gain(TypedDict):
    """What a trained encoder gains on held-out frames: a `nwb_dcf.metrics.Interval`."""

    value: float
    low: float
    high: float
    level: float
    n: int
    over: str


class EncoderChoice(TypedDict, total=False):
    """Whether an encoder was trained in place of PCA's latents; empty where it was given.

    Attributes
    ----------
    trained : bool
        Whether the latents are those of a trained encoder; else they equal PCA's.
    gains : dict of str to dict
        R2 of held-out frames with the trained encoder less that with PCA's latents, of ``reconstruction`` and of
        ``left_out`` channels: ``value``, ``low``, ``high``, ``level``, ``n``, ``over`` of a `nwb_dcf.metrics.Interval`.
    why : str
        In place of ``gains``, why there was nothing to choose from.
    """

    trained: bool
    gains: dict[str, Gain]
    why: str


class SolverError(TypedDict, total=False):
    """Difference between the quick solver of u and dopri5.

    Attributes
    ----------
    solver, against : str
    steps : int
        Of the quick solver.
    frames : int
        Frames compared.
    compress : float
        Root mean square of the difference at tau = 0, relative to that of the frames about their mean.
    latents : float
        Root mean square of the difference in the flowed latents, whose own is about 1.
    """

    solver: str
    steps: int
    against: str
    frames: int
    compress: float
    latents: float


class DimensionRecord(TypedDict):
    """How the number of latents was chosen; see `nwb_dcf.estimator.dimensionality.DimensionChoice`."""

    dim: int
    chosen: bool
    supported: bool
    rule: str
    curve: dict[str, list[float | None]]


class RunnerUp(TypedDict):
    """The second best setting."""

    smooth_s: float
    scale: str
    score: float


class SmoothingRecord(TypedDict):
    """How smoothing and scale were chosen; see `nwb_dcf.estimator.smoothing_and_scale.SmoothingChoice`."""

    smooth_s: float
    scale: str
    bin_width_s: float | None
    chosen: bool
    rule: str
    runner_up: RunnerUp | None
    notes: list[str]
    units: int
    voters: int
    lags_s: list[float]
    table: dict[str, list[Any]]


class Machine(TypedDict):
    """Hardware of a fit.

    Attributes
    ----------
    device, name : str
    threads : int
        Of the CPU.
    products : str
        Precision of matrix products in training.
    frames : str
        Where frames were held.
    """

    device: str
    name: str
    threads: int
    products: str
    frames: str


class HeldOut(TypedDict, total=False):
    """Data that were held out: the rule, and intervals in seconds on the session clock."""

    rule: str
    intervals_s: Sequence[Sequence[float]]


class Provenance(TypedDict, total=False):
    """How a result came to be."""

    created: str
    versions: dict[str, str]
    machine: Machine
    seed: int
    source: SourceRecord
    kind: str
    channels: Any
    notes: list[str]
    left_out: list[LeftOut]
    preparation: JSON
    support: Support
    split: SplitRecord
    steps: dict[str, int]
    search: SearchRecord
    init: JSON
    solver_error: SolverError
    learned: dict[str, bool]
    encoder: EncoderChoice
    training: dict[str, float]
    interrupted: bool
    dimension: DimensionRecord
    smoothing: SmoothingRecord
    arguments: Arguments
    request: str
    seconds: float
    resumed: Any
    written: WrittenRecord
    model: ModelRecord
    matching: MatchingRecord
    cohort: JSON
    sorting: JSON
    nwb_version_before: str


class NullScores(TypedDict):
    """Scores of fits to shifted channels.

    Attributes
    ----------
    fits : int
    bottleneck_r2, pca_r2 : list of float
        One for each fit.
    p, pca_p : float or None
        Fraction of nulls at or above the fit's own score (see `nwb_dcf.metrics.rank_in_null`); None where a score is
        NaN or there are fewer than 19 nulls.
    p_floor : float
        Smallest p that so many nulls can give.
    survives : str
        Which structure is in the null too.
    stopped : str
        Why there are fewer fits than requested, where there are.
    """

    fits: int
    bottleneck_r2: list[float]
    pca_r2: list[float]
    p: float | None
    pca_p: float | None
    p_floor: float
    survives: str
    stopped: NotRequired[str]


class LatentEvidence(TypedDict):
    """Whether one latent is more than an invention of its fit.

    Attributes
    ----------
    latent : int
        From 1.
    decoded, decoded_low, decoded_high : float
        R2 on unseen frames of the latent from all latents of the refits, by a linear map, and its interval.
    gain, gain_low, gain_high : float
        R2 of left-out channels that it adds to the other latents, where the readout was learned on few segments;
        below 0 where the readout is better without it.
    """

    latent: int
    decoded: float
    decoded_low: float
    decoded_high: float
    gain: float
    gain_low: float
    gain_high: float


class Invented(TypedDict, total=False):
    """Cross-decoding between refits and few-shot co-smoothing, see `nwb_dcf.evaluation.invented`.

    Attributes
    ----------
    fits : int
        In all.
    latents : list of LatentEvidence
    theirs : list of float
        R2 of the refits' latents from this fit's.
    few_shot_r2 : float
        Of left-out channels, with all latents.
    few, of : int
        Training segments or blocks that a readout was learned on, and that there are.
    over : {"segments", "blocks"}
        What ``few`` counts.
    n : int
        Unseen segments or blocks that intervals rest on.
    unseen_over : {"segments", "blocks"}
    not_measured : str
        The reason, and nothing else, where it was not measured.
    """

    fits: int
    latents: list[LatentEvidence]
    theirs: list[float]
    few_shot_r2: float
    few: int
    of: int
    over: Literal["segments", "blocks"]
    n: int
    unseen_over: Literal["segments", "blocks"]
    not_measured: str


class Agreement(TypedDict, total=False):
    """Agreement of fits to resampled segments.

    Attributes
    ----------
    fits : int
    over : {"segments", "blocks"}
        What was resampled.
    groups : list of list of int
        Latents from 1 whose variances are close.
    axes : list of float
        Absolute correlation of each latent between two fits, the mean over all pairs.
    planes : list of float
        The same for the span of each group.
    space : float
        The same for the span of all latents; absent in fits of before.
    pca_axes, pca_planes : list of float
        Of PCA on the same segments.
    invented : Invented
        Whether the fits decode each other's latents; absent in fits of before.
    stopped : str
        Why there are fewer fits than requested, where there are. With a single fit nothing else is there.
    """

    fits: int
    over: Literal["segments", "blocks"]
    groups: list[list[int]]
    axes: list[float]
    planes: list[float]
    space: float
    pca_axes: list[float]
    pca_planes: list[float]
    invented: Invented
    stopped: str


class TopChannelRecord(TypedDict):
    """A channel with a large fraction of a latent, as it is stored in the summary of a fit."""

    channel: object
    loading_share: float
    decoder_share: float | None


class LatentRecord(TypedDict):
    """What a latent is made of, as it is stored in the summary of a fit.

    Attributes
    ----------
    latent : int
        From 1.
    effective_channels : float
    one_channel : bool
        Whether a single channel has more than half of the loading, or of the explained variance.
    top : list of TopChannelRecord
    """

    latent: int
    effective_channels: float
    one_channel: bool
    top: list[TopChannelRecord]


class Scores(TypedDict, total=False):
    """Figures of a fit; `nwb_dcf.DCFResult` says what each means."""

    on: str
    frames: int
    bottleneck_r2: float
    pca_r2: float
    difference_r2: float
    deviance_explained: float
    pca_deviance_explained: float
    difference_deviance: float
    intervals: JSON
    flow_r2: float
    round_trip_r2: float
    energy_outside: float
    smoothness: float
    pca_smoothness: float
    rollout: JSON
    null: NullScores
    agreement: Agreement
    channels: list[LatentRecord]
    left_out: JSON
    shifted_apart: JSON
    certificate: list[CertificateLine]
