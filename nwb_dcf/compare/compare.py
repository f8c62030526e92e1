"""DCF and other methods side by side on one file: same split, bins, smoothing and scale."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np
import xarray as xr

from ..config import PrepareConfig
from ..config.presets import resolve_settings
from ..config.progress import Progress
from ..config.time_scale import TimeScales
from ..data.certificate import CertificateLine
from ..data.gaussian_filter import TRUNCATE
from ..data.recording import (
    flatten_frames,
    frame_dims,
    is_count,
    make_recording,
    median_step_s,
)
from ..data.records import JSON, SourceRecord
from ..errors import DataError, DCFError, ParameterError
from ..evaluation.decoding_verdict import Chance
from ..io.export import check_export, write_whole
from ..io.recordings import locate
from ..io.recordings.behavior import read_behavior
from ..metrics import Interval, bootstrap_over_segments, compare_paired
from ..pipeline.fit_plan import FitPlan
from ..pipeline.fit_recording import fit_recording, plan_recording, read_to_fit
from ..pipeline.plot import require_plotting
from .measure import (
    Behavior,
    Material,
    Measured,
    measure_decoding_chance,
    measure_found_again,
    measure_method,
    score_left_out,
    take_frames,
    time_call,
)
from .methods import Encoder, Frames, Method, choose_methods
from .table import describe_certificates, describe_row, list_failures
from .verdict import judge_comparison
from .watch import LONGEST_S, Watch

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from ..config import FitConfig
    from ..estimator.fitted import FittedModel


class Score(TypedDict):
    """A score, or a difference of two, and its 95 % interval over held-out segments."""

    value: float
    low: float
    high: float


class MethodRow(TypedDict, total=False):
    """What one method gave.

    Attributes
    ----------
    method : str
    seeded : bool
    scores : dict of str to Score
        By question; absent for what the method cannot answer.
    differences : dict of str to Score
        DCF's less the method's, on the same segments.
    largest_channel, fewest_channels, found_again
        See `nwb_dcf.compare.measure.Measured`.
    seconds : float
        Of one fit.
    unlike : float or None
        Largest difference between the scores of two fits, of a method that cannot be seeded.
    certificate : list of CertificateLine
        Of every method, by the same lines as a fit's.
    failed : str
        Why there is nothing.
    """

    method: str
    seeded: bool
    scores: dict[str, Score]
    differences: dict[str, Score]
    largest_channel: float
    fewest_channels: float
    found_again: float | None
    seconds: float
    unlike: float | None
    certificate: list[CertificateLine]
    failed: str


@dataclass(frozen=True)
class ComparisonReport:
    """What each method is worth on one file.

    Attributes
    ----------
    file : str
    source : SourceRecord
        The object, as ``recording.attrs["source"]``.
    dim, channels : int
    split, settings : str
        What was held out, and bins, smoothing and scale, the same for all.
    against : str or None
        Path of the behaviour that was decoded.
    n, over : int, str
        Held-out ``segments`` or ``blocks`` that the intervals rest on.
    chance : dict of str to Chance
        By question, what DCF's latents give of behaviour that was shifted in time; empty where none is decoded.
    rows : list of MethodRow
        DCF first.
    verdict : str
        One sentence.
    notes : list of str
    """

    file: str
    source: SourceRecord
    dim: int
    channels: int
    split: str
    settings: str
    against: str | None
    n: int
    over: str
    chance: dict[str, Chance]
    rows: list[MethodRow]
    verdict: str
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> JSON:
        """Return the report as a JSON-able dict."""
        return asdict(self)


def compare_nwb(
    path: str | Path,
    dim: int | Literal["auto"] = 3,
    *,
    against: str | None = None,
    methods: Sequence[str] | None = None,
    rivals: Sequence[str] = (),
    certify: bool = False,
    longest: float = LONGEST_S,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> ComparisonReport:
    """Fit DCF and other methods to one file and ask the same of each; nothing is written.

    Parameters
    ----------
    path : str or Path
        NWB file, or an address.
    dim : int or "auto"
        Number of latents of every method.
    against : str, optional
        Behaviour to decode: a series by its path or the end of it, as ``behavior/position``.
    methods : sequence of str, optional
        ``pca``, ``fa``, ``autoencoder``, ``vae``, ``gpfa``, ``umap``, ``cebra``; by default all that are installed.
    rivals : sequence of str
        ``module:Class`` of other estimators with ``fit``, ``transform`` and optionally ``inverse_transform``.
    certify : bool
        Whether to ask what takes three more fits a method: does it predict channels it was not given, does it find
        the same space in other segments, and can those fits decode each of its latents.
    longest : float
        Seconds after which a fit of CEBRA takes no further of its 10,000 steps; a note says so.
    output : str or Path, optional
        An ``.html`` page to write, with a picture and the table.
    overwrite : bool
        Replace a page that exists.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` while DCF, the autoencoders and CEBRA train.
    **settings
        As for `nwb_dcf.fit_nwb`: what to read, ``held_out``, ``seed``, ...

    Returns
    -------
    ComparisonReport

    Raises
    ------
    DCFError
        If the file cannot be fitted, nothing can be held out, or a method cannot be used.

    Notes
    -----
    Intervals are those of 95 % over held-out segments, of differences on the same segments. They are not corrected for
    the number of questions asked.

    Examples
    --------
    >>> compare_nwb("session.nwb", 3, against="behavior/position").verdict  # doctest: +SKIP
    'PCA is enough: DCF is not measurably better at anything that was asked'
    """
    page = None if output is None else Path(output)
    if page is not None:
        check_export(page, overwrite=overwrite, formats=(".html",))
        require_plotting(html=False)
    if not longest > 0:
        raise ParameterError(f"longest is {longest:g}", fix="give seconds above 0")
    watch = Watch(progress, longest)
    held_out = settings.pop("held_out", 0.2)
    # the steps of a fit, so that DCF is compared as a fit of the same file would be
    read, config, bins = resolve_settings(dim, settings)
    recording, read, smoothing = read_to_fit(path, read, config, bins=bins, held_out=held_out, progress=progress)
    plan = plan_recording(recording, config, dim, held_out=held_out, read=read, smoothing=smoothing)
    if plan.split is None:
        raise DataError(
            "nothing is held out, so that no method can be scored",
            where=f"{locate(path).name}: {plan.recording.attrs['source'].get('path', '')}",
            fix="give a longer recording, or held_out above 0",
        )
    # before DCF trains: a method that is not installed is no reason to wait
    chosen, notes = choose_methods(methods, rivals, counts=is_count(plan.recording), watch=watch)
    behavior = None if against is None else _read_behavior(path, against, plan)
    (fitted, result), seconds = time_call(lambda: fit_recording(plan, progress=progress))
    material = _gather(plan, fitted, None if behavior is None else behavior[0])
    # DCF is fitted already and enters with its fit; the others are fitted in their turn
    tasks: list[tuple[Method, Encoder | None, float]] = [(_DCF(fitted, watch).method, _Fitted(fitted), seconds)]
    tasks += [(method, None, 0.0) for method in chosen]
    rows, found, chance = [], dict[str, Measured](), dict[str, Chance]()
    encoders: dict[str, Encoder] = {}
    watch.fits["DCF"] = 1
    for i, (method, encoder, spent) in enumerate(tasks):
        if progress:
            progress(Progress(f"comparing ({method.name})", i, len(tasks), unit="method"))
        row, measured, encoder = _measure(method, encoder, spent, material, plan.dim, certify)
        rows.append(row)
        if measured is None or encoder is None:
            continue
        found[method.name], encoders[method.name] = measured, encoder
        if i == 0:
            chance = measure_decoding_chance(encoder, material, measured.scores)
    if "DCF" not in found:
        raise DataError(
            f"DCF's own fit cannot be scored: {rows[0]['failed']}", fix="fit the file first, and look at it"
        )
    ours = found["DCF"].scores
    for row in rows[1:]:
        # differences on the same segments: two intervals that overlap may still belong to a difference that holds
        theirs = found[row["method"]].scores if row["method"] in found else {}
        row["differences"] = {
            key: _to_dict(compare_paired(ours[key], theirs[key], seed=material.seed)) for key in ours if key in theirs
        }
    from .certificate import certify_method, explain_left_out  # torch is loaded once all that can be refused has been

    # once PCA has been fitted, which one line is about
    for row, (method, *_) in zip(rows, tasks, strict=True):
        if method.name in found:
            pca = None if method.name == "PCA" else found.get("PCA")
            row["certificate"] = certify_method(
                method, encoders[method.name], found[method.name], material, pca, result.scores, thorough=certify
            )
    explained = explain_left_out({row["method"]: row["certificate"] for row in rows if "certificate" in row})
    for row in rows:
        if row["method"] in explained:
            row["certificate"] = explained[row["method"]]
    interval = bootstrap_over_segments(ours["reconstruction"], seed=material.seed)
    notes += [f"{name}: {note}" for name, encoder in encoders.items() if (note := getattr(encoder, "note", ""))]
    if any(row.get("unlike") is not None for row in rows):
        notes.append("methods marked ~ cannot be seeded: they were fitted twice, and the difference stands beside")
    elif any(not row["seeded"] for row in rows):
        notes.append("methods marked ~ cannot be seeded: another run gives other latents")
    recording = plan.recording
    report = ComparisonReport(
        file=locate(path).name,
        source=recording.attrs["source"],
        dim=plan.dim,
        channels=math.prod(recording.sizes[name] for name in frame_dims(recording)),
        split=plan.split.rule,
        settings=_describe(fitted, recording),
        against=None if behavior is None else behavior[1],
        n=interval.n,
        over=interval.over,
        chance=chance,
        rows=rows,
        verdict=judge_comparison(rows, interval.n, interval.over, chance=chance),
        notes=[*recording.attrs["notes"], *([] if behavior is None else behavior[2]), *notes],
    )
    if page is not None:
        from ..plots.comparison import write_comparison_page

        verdicts = describe_certificates(rows)
        table = [describe_row(row) for row in rows]
        text = write_comparison_page(report.to_dict(), table, verdicts, list_failures(rows))

        def write(name: str) -> None:
            Path(name).write_text(text, encoding="utf-8")

        write_whole(page, write)
    return report


def _measure(
    method: Method, encoder: Encoder | None, seconds: float, material: Material, dim: int, certify: bool
) -> tuple[MethodRow, Measured | None, Encoder | None]:
    """Fit and score one method; what fails is a row that says so, since the others are still worth having."""
    row: MethodRow = {"method": method.name, "seeded": method.seeded}
    try:
        if encoder is None:
            encoder, seconds = time_call(lambda: method.fit(material.training, dim, material.seed))
        measured = measure_method(encoder, material)
        if certify:
            measured = _certify(method, measured, material, dim)
        if not method.seeded and measured.scores:
            # what cannot be seeded shows by a second fit how much of its score is chance
            again = measure_method(method.fit(material.training, dim, material.seed + 1), material)
            shifts = [abs(measured.scores[key].value - one.value) for key, one in again.scores.items()]
            row["unlike"] = max(shifts, default=None)
    # errors of other people's libraries, on data that they were not made for
    except (DCFError, ValueError, RuntimeError, ArithmeticError, TypeError, np.linalg.LinAlgError) as error:
        return {**row, "failed": " ".join(f"{type(error).__name__}: {error}".split())[:300]}, None, None
    scores = {key: _to_dict(bootstrap_over_segments(sums, seed=material.seed)) for key, sums in measured.scores.items()}
    row |= {
        "scores": scores,
        "largest_channel": measured.largest_channel,
        "fewest_channels": measured.fewest_channels,
        "found_again": measured.found_again,
        "seconds": seconds,
    }
    return row, measured, encoder


def _certify(method: Method, measured: Measured, material: Material, dim: int) -> Measured:
    """Fit to half of the channels, and to two halves of the segments."""
    # the same halves for every method
    rng = np.random.default_rng([material.seed, 1])
    n_channels = material.training.x.shape[1]
    scores = dict(measured.scores)
    # half of the channels has to be more than the latents, or nothing is compressed
    if n_channels // 2 > dim:
        given = np.zeros(n_channels, bool)
        given[rng.permutation(n_channels)[: n_channels // 2]] = True
        scores["left_out"] = score_left_out(lambda frames: method.fit(frames, dim, material.seed), material, given)
    halves = _halve(material.training.segment, rng)
    first, second = (method.fit(take_frames(material.training, half), dim, material.seed) for half in halves)
    found_again = measure_found_again(first, second, material)
    return dataclasses.replace(measured, scores=scores, found_again=found_again, halves=(first, second))


def _halve(
    segment: np.ndarray, rng: np.random.Generator
) -> tuple[Bool[np.ndarray, " time"], Bool[np.ndarray, " time"]]:
    """Two halves of the segments; of the frames, where there are few segments."""
    labels = np.unique(segment)
    # two segments in a half at least; else the first and the second half of the time
    if len(labels) < 4:
        first = np.arange(len(segment)) < len(segment) // 2
    else:
        first = np.isin(segment, rng.permutation(labels)[: len(labels) // 2])
    return first, ~first


class _Fitted:
    """DCF's fit among the other methods."""

    def __init__(self, fitted: FittedModel) -> None:
        self.fitted = fitted

    def encode(self, frames: Frames) -> Float[np.ndarray, "time latent"]:
        return self.fitted.encode(_as_prepared(frames))

    def reconstruct(self, latents: Float[np.ndarray, "time latent"]) -> Float[np.ndarray, "time channel"]:
        return self.fitted.reconstruct(np.asarray(latents, np.float32))


class _DCF:
    """DCF fitted again to some channels or segments of frames that are prepared already."""

    def __init__(self, fitted: FittedModel, watch: Watch) -> None:
        self.fitted, self.watch = fitted, watch
        self.method = Method("DCF", self.fit)

    def fit(self, frames: Frames, dim: int, seed: int) -> Encoder:
        from ..estimator.fit import fit

        config: FitConfig = dataclasses.replace(
            self.fitted.config, prepare=PrepareConfig(transformation="none", smooth=0.0, scale="none")
        )
        # numbered anew, as a recording wants it: halves of the segments have gaps in their numbers
        index = np.unique(frames.segment, return_inverse=True)[1]
        recording = make_recording(frames.x, np.arange(len(index)) * frames.step_s, segment_index=index)
        return _Fitted(fit(recording, config, latents_only=True, progress=self.watch.follow("DCF")))


def _as_prepared(frames: Frames) -> Any:
    from ..estimator.fitted import PreparedFrames

    time_s = np.arange(len(frames.x)) * frames.step_s
    return PreparedFrames(np.asarray(frames.x, np.float32), np.unique(frames.segment, return_inverse=True)[1], time_s)


def _gather(plan: FitPlan, fitted: FittedModel, behavior: Behavior | None) -> Material:
    parts = []
    for recording in (plan.training, plan.unseen):
        counts = flatten_frames(recording) if is_count(recording) else None
        prepared = fitted.prepare(recording)
        parts.append(Frames(prepared.values, prepared.segment, counts, median_step_s(recording)))
    # smoothed frames near the held-out ones know of them
    gap = int(np.ceil(TRUNCATE * fitted.preparation.smooth_s / fitted.step_s))
    channel, scale = frame_dims(plan.training)[0], fitted.config.prepare.scale
    seed = plan.config.train.seed
    return Material(parts[0], parts[1], behavior, gap, seed, fitted.channels, channel, scale)


def _read_behavior(path: str | Path, against: str, plan: FitPlan) -> tuple[Behavior, str, list[str]]:
    scales = TimeScales.keep_named(plan.read.time_scale)
    parts = [
        read_behavior(path, against, part["time"].values, time_scale=scales) for part in (plan.training, plan.unseen)
    ]
    for part, name in zip(parts, ("fitted", "held-out"), strict=True):
        known = int(np.isfinite(part.values).all(axis=1).sum())
        # too few for the folds in which a decoder's penalty is chosen
        if known < 20:
            raise DataError(
                f"{part.attrs['path']} is known at {known} of the {part.sizes['time']} {name} frames",
                where=locate(path).name,
                fix="name a series recorded at the same time",
            )
    return Behavior(parts[0].values, parts[1].values), str(parts[0].attrs["path"]), list(parts[0].attrs["notes"])


def _describe(fitted: FittedModel, recording: xr.Dataset) -> str:
    prepare = fitted.preparation
    bins = recording.attrs.get("bin_width_s")
    first = f"bins of {bins:g} s" if bins else f"frames {fitted.step_s:.4g} s apart"
    return f"{first}, smoothed by {prepare.smooth_s:g} s, scale {fitted.config.prepare.scale}"


def _to_dict(interval: Interval) -> Score:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
