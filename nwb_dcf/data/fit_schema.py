"""What the JSON documents of a stored fit may hold: a stranger's file is checked by it before anything is done.

Only what the package reads is named. Other keys are kept as they are, so that a fit of a newer version with the same
schema number stays readable. Types are strict: no text is taken for a number.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .certificate import LINES
from .records import JSON

Word = Annotated[str, Field(max_length=1000)]
Sentence = Annotated[str, Field(max_length=20_000)]
Natural = Annotated[int, Field(ge=0, le=2**53)]  # up to here every reader of JSON has whole numbers exactly
Whole = Annotated[int, Field(ge=-(2**63), lt=2**64)]  # ids, signed and unsigned
Fraction = Annotated[float, Field(ge=0, le=1)]
Label = Whole | float | Word | bool
Loss = Annotated[float, Field(allow_inf_nan=True)]  # of a part that did not learn
Span = Annotated[list[float], Field(min_length=2, max_length=2)]
Values = list[float] | list[list[float]]


class _Open(BaseModel):
    # strict: pydantic would else take "3" for 3, and True for a number
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class StoredTable(_Open):
    """A table of intervals that decided segments."""

    columns: list[Word]
    rows: Natural
    sha256: Word


class StoredSource(_Open):
    """The object that was fitted, or several in ``members``."""

    file: Word | None = None
    identifier: Sentence | None = None
    path: Word | None = None
    type: Word | None = None
    object_id: Word | None = None
    sha256: Word | None = None
    values: Natural | None = None
    channel_rows: list[Whole] = []
    members: list[StoredSource] = []
    intervals: dict[Word, StoredTable | None] = {}


class StoredSplit(_Open):
    """What was held out."""

    training: Natural = 0
    held_out: Natural = 0
    rule: Sentence | None = None
    share: Fraction | None = None
    held_out_intervals_s: list[Span] = []


class TreatedSource(_Open):
    """Preparation of one of several sources."""

    n_channels: Natural
    transform: Literal["sqrt", "none"]
    smooth_s: Annotated[float, Field(ge=0)]


class StoredPreparation(_Open):
    """A fitted preparation, one number a channel or a picture of them."""

    transform: Literal["sqrt", "none", "by source"]
    smooth_s: Annotated[float, Field(ge=0)]
    scale: Word
    factor: Values
    offset: Values
    sources: list[TreatedSource] = []

    @model_validator(mode="after")
    def _agree(self) -> StoredPreparation:
        sizes = [_measure(values) for values in (self.factor, self.offset)]
        if sizes[0] != sizes[1]:
            raise ValueError(f"factor has {sizes[0]} values and offset {sizes[1]}")
        if self.sources and sum(source.n_channels for source in self.sources) != sizes[0][0]:
            raise ValueError("its sources have another number of channels than factor")
        return self


class StoredSmoothingSupport(_Open):
    """Reach of the Gaussian."""

    sigma_s: float | None = None


class StoredSupport(_Open):
    """Frames that a latent depends on."""

    causal: bool
    frames_before: Natural
    frames_after: Natural
    seconds: float
    smoothing: StoredSmoothingSupport


class StoredModelName(_Open):
    """The fit whose model made these latents."""

    file: Word | None = None
    name: Word | None = None
    sha256: Word = ""
    created: Word | None = None
    source: StoredSource | None = None


class StoredMatching(_Open):
    """How channels of another file were found."""

    by: list[Word]
    model: list[Label]
    here: list[Label | None]

    @model_validator(mode="after")
    def _agree(self) -> StoredMatching:
        if len(self.model) != len(self.here):
            raise ValueError(f"model has {len(self.model)} channels and here {len(self.here)}")
        return self


class StoredDimension(_Open):
    """How the number of latents was chosen."""

    dim: Natural
    rule: Sentence
    curve: dict[str, list[float | bool | None]]


class StoredRival(_Open):
    """The choice that came second."""

    smooth_s: float
    scale: Word
    score: float | None = None


class StoredSmoothingTable(_Open):
    """Scores of all choices."""

    smooth_s: list[float] = []
    scale: list[Word] = []
    score: list[float | None] = []

    @model_validator(mode="after")
    def _agree(self) -> StoredSmoothingTable:
        if len({len(self.smooth_s), len(self.scale), len(self.score)}) > 1:
            raise ValueError("its columns differ in length")
        return self


class StoredSmoothing(_Open):
    """How smoothing and scale were chosen."""

    smooth_s: float
    scale: Word
    chosen: bool
    rule: Sentence
    runner_up: StoredRival | None = None
    notes: list[Sentence] = []
    table: StoredSmoothingTable


class StoredGain(_Open):
    """What a trained encoder gains on held-out frames."""

    value: float
    low: float
    high: float
    n: Natural
    over: Word


class StoredEncoder(_Open):
    """Whether an encoder was trained in place of PCA's latents."""

    trained: bool = False
    gains: dict[str, StoredGain] = {}
    why: Sentence | None = None


class StoredProvenance(_Open):
    """How a fit came to be."""

    created: Word | None = None
    source: StoredSource | None = None
    kind: Word | None = None
    channels: list[Label] | dict[str, list[Label]] = []
    notes: list[Sentence] = []
    left_out: list[JSON] = []
    versions: JSON = {}
    machine: JSON = {}
    preparation: StoredPreparation | None = None
    support: StoredSupport | None = None
    split: StoredSplit | None = None
    model: StoredModelName | None = None
    matching: StoredMatching | None = None
    cohort: JSON | None = None
    dimension: StoredDimension | None = None
    smoothing: StoredSmoothing | None = None
    encoder: StoredEncoder | None = None
    learned: dict[str, bool] | None = None
    steps: dict[str, Natural] | None = None
    seconds: float | None = None
    interrupted: bool | None = None
    request: Word | None = None
    hashes: dict[str, Word] | None = None
    written: JSON = {}


class StoredHorizon(_Open):
    """How far rollouts beat persistence."""

    rollout: Natural
    ar3: Natural


class StoredRollout(_Open):
    """Simulations from held-out starts."""

    horizon: StoredHorizon | None = None
    leads: Natural | None = None
    step_s: float | None = None

    @model_validator(mode="after")
    def _agree(self) -> StoredRollout:
        if self.horizon is not None and (self.leads is None or self.step_s is None):
            raise ValueError("it has a horizon and no leads or step_s")
        return self


class StoredNull(_Open):
    """Fits to channels shifted apart."""

    fits: Natural
    bottleneck_r2: list[float | None] = []
    pca_r2: list[float | None] = []
    survives: Sentence | None = None
    p: float | None = None
    pca_p: float | None = None


class StoredEvidence(_Open):
    """Whether one latent is more than an invention of its fit."""

    latent: Natural
    decoded: float
    gain: float


class StoredInvented(_Open):
    """Cross-decoding between refits and few-shot co-smoothing."""

    latents: list[StoredEvidence] = []
    theirs: list[float] = []
    few_shot_r2: float | None = None
    few: Natural | None = None
    of: Natural | None = None
    over: Word | None = None
    not_measured: Sentence | None = None

    @model_validator(mode="after")
    def _agree(self) -> StoredInvented:
        if self.latents and (not self.theirs or None in (self.few_shot_r2, self.few, self.of, self.over)):
            raise ValueError("it has latents, and not what they were measured on")
        return self


class StoredAgreement(_Open):
    """Fits to resampled segments."""

    fits: Natural | None = None
    over: Word | None = None
    axes: list[float | None] = []
    groups: list[list[Natural]] = []
    planes: list[float | None] = []
    space: float | None = None
    pca_axes: list[float | None] = []
    pca_planes: list[float | None] = []
    invented: StoredInvented | None = None

    @model_validator(mode="after")
    def _agree(self) -> StoredAgreement:
        if {"axes", "pca_axes", "pca_planes"} <= self.model_fields_set and not (
            len(self.groups) == len(self.planes) == len(self.pca_planes) and self.fits is not None and self.over
        ):
            raise ValueError("its groups and planes differ in number")
        return self


class StoredTopChannel(_Open):
    """A channel that has much of a latent."""

    channel: Label
    loading_share: float
    decoder_share: float | None = None


class StoredChannels(_Open):
    """What one latent is made of."""

    latent: Natural
    top: Annotated[list[StoredTopChannel], Field(min_length=1)]
    effective_channels: float
    one_channel: bool


class StoredLine(_Open):
    """One line of a certificate."""

    line: Literal[LINES]  # type: ignore[valid-type]
    verdict: Literal["pass", "doubtful", "fail", "not measured"]
    number: Word
    value: float | None
    low: float | None
    high: float | None
    n: Natural
    over: Word
    sentence: Sentence


class StoredScores(_Open):
    """Figures of a fit."""

    on: Word | None = None
    bottleneck_r2: float | None = None
    pca_r2: float | None = None
    difference_r2: float | None = None
    smoothness: float | None = None
    pca_smoothness: float | None = None
    deviance_explained: float | None = None
    pca_deviance_explained: float | None = None
    intervals: JSON | None = None
    rollout: StoredRollout | None = None
    null: StoredNull | None = None
    agreement: StoredAgreement | None = None
    channels: list[StoredChannels] | None = None
    certificate: Annotated[list[StoredLine], Field(max_length=100)] = []

    @model_validator(mode="after")
    def _agree(self) -> StoredScores:
        ends = (self.intervals or {}).items()
        for name, pair in ends:
            if name.endswith(("_r2", "_explained", "_deviance")) and not (isinstance(pair, list) and len(pair) == 2):
                raise ValueError(f"intervals.{name} is no pair")
        if ("smoothness" in self.model_fields_set) != ("pca_smoothness" in self.model_fields_set):
            raise ValueError("smoothness and pca_smoothness belong together")
        return self


class StoredPixels(_Open):
    """Rows and columns of images."""

    y: list[Label]
    x: list[Label]


class StoredSummary(_Open):
    """Attributes of the dataset, and what gives its arrays back their dims."""

    k_eff: Natural | None = None
    dim: Natural | None = None
    total_variance: float | None = None
    scores: StoredScores | None = None
    kind: Word = "array"
    channel_dim: Annotated[str, Field(pattern=r"^[A-Za-z]\w{0,40}$")] = "channel"
    pixels: StoredPixels | None = None
    latent: list[Label] | None = None
    source: list[Word] | None = None
    source_channels: list[Natural] | None = None
    units: dict[Word, Word] = {}


class StoredTensor(_Open):
    """Shape of one array of a network."""

    dtype: Word
    shape: Annotated[list[Natural], Field(max_length=8)]


class StoredArchitecture(_Open):
    """What one part of the model computes."""

    symbol: Word | None = None
    tensors: dict[Word, StoredTensor] = {}


class StoredCurve(_Open):
    """Losses of training, NaN where a part did not learn."""

    step: list[Natural] = []
    cf: list[Loss] = []
    df: list[Loss] = []
    align: list[Loss] = []
    context: list[Loss] = []
    held_out_step: list[Natural] = []
    held_out_cf: list[Loss] = []
    held_out_df: list[Loss] = []


class StoredModel(_Open):
    """What stands beside the tensors of a model: its sizes, settings and statistics."""

    format: Natural
    n_channels: Annotated[int, Field(ge=1, le=2**40)]
    k_max: Annotated[int, Field(ge=1, le=2**40)]
    frame_shape: Annotated[list[Natural], Field(min_length=2, max_length=2)] | None = None
    n_axes: Natural = 0
    config: JSON
    preparation: StoredPreparation
    channels: list[Label]
    channel_dim: Word
    units: Word
    kind: Word
    step_s: Annotated[float, Field(gt=0)]
    total_variance: float
    k_eff: Natural
    steps: dict[str, Natural]
    search: StoredCurve
    curve: StoredCurve
    notes: list[Sentence]
    timing: dict[str, float]
    machine: JSON
    bin_width_s: float | None = None
    chosen_on: JSON
    pixels: StoredPixels | None = None

    @model_validator(mode="after")
    def _agree(self) -> StoredModel:
        shape = tuple(self.frame_shape or (self.n_channels,))
        if math.prod(shape) != self.n_channels:
            raise ValueError(f"frames of {shape} have not the {self.n_channels} channels of the model")
        if _measure(self.preparation.factor) != shape:
            raise ValueError(f"its preparation is not of {self.n_channels} channels")
        if self.pixels is None and len(self.channels) != self.n_channels:
            raise ValueError(f"it names {len(self.channels)} of {self.n_channels} channels")
        return self


SCHEMAS: dict[str, type[_Open]] = {
    "provenance": StoredProvenance,
    "summary": StoredSummary,
    "architecture": StoredArchitecture,
    "model": StoredModel,
}


def _measure(values: Values) -> tuple[int, ...]:
    """Sizes of a list, or of a list of lists of one length."""
    if not values or not isinstance(values[0], list):
        return (len(values),)
    widths = {len(row) if isinstance(row, list) else -1 for row in values}
    if len(widths) > 1:
        raise ValueError("its rows differ in length")
    return len(values), widths.pop()
