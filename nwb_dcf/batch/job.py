"""The job of one file: fitted, skipped where the same fit exists, or failed with the reason."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.request import asks_to_choose, hash_request
from ..errors import DCFError, ParameterError
from ..io.backends.location import is_remote
from ..io.results import list_checkpoints, list_results, read_result
from .outcome import JobOutcome, Scores
from .settings import Settings

FIT_DEFAULTS = {"dim": 3, "held_out": 0.2, "null": 0, "repeats": 1}
"""Of `nwb_dcf.fit_nwb`: given or not, they are part of the request."""


@dataclass(frozen=True)
class FitJob:
    """Request to fit one file.

    Attributes
    ----------
    file : str
    options : dict
        Arguments of `nwb_dcf.fit_nwb` that differ from its defaults.
    threads : int
        Of the processor: jobs side by side would slow each other down with more.
    refusal : str
        Why the job cannot be run, where that is known before it starts; empty otherwise.
    dry : bool
        Whether it ends with the plan.
    """

    file: str
    options: Settings
    threads: int = 1
    refusal: str = ""
    dry: bool = False

    @property
    def target(self) -> str:
        """File that will hold the fit."""
        return str(self.options.get("output") or self.file)

    def run(self) -> JobOutcome:
        """Run the job; an error is its outcome and stops no other job."""
        started = time.perf_counter()
        # a line in the table like any other failure, and no process that only finds this
        if self.refusal:
            return JobOutcome(self.file, "failed", message=self.refusal)
        try:
            return _fit(self, started)
        except DCFError as error:
            return JobOutcome(self.file, "failed", seconds=time.perf_counter() - started, message=str(error))
        except Exception as error:
            # a defect that one file of hundreds brings out is a line in the table too, with the place where it happened
            place = traceback.extract_tb(error.__traceback__)[-1]
            message = f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"
            return JobOutcome(
                self.file, "failed", seconds=time.perf_counter() - started, message=" ".join(message.split())
            )


def _fit(job: FitJob, started: float) -> JobOutcome:
    # inside the job and not before all: reading the fits of hundreds of files takes time too, and runs side by side
    there = find_fit(job)
    if there is not None:
        name, scores = there
        return JobOutcome(job.file, "skipped", name, time.perf_counter() - started, "this fit exists already", scores)
    # torch is loaded by jobs that fit, not by those that skip
    from ..model.parallel import use_threads
    from ..pipeline.fit import fit_nwb, plan_fit

    with use_threads(job.threads):
        if job.dry:
            plan = plan_fit(job.file, choose=asks_to_choose(job.options), **job.options).to_dict()
            seconds, name = time.perf_counter() - started, str(plan.get("name") or "")
            return JobOutcome(job.file, "planned", name, seconds, _describe_plan(plan), Scores(dim=plan["dim"]))
        result = None
        if has_checkpoint(job):
            try:
                result = fit_nwb(job.file, **{**job.options, "resume": True})
            except ParameterError as error:
                # of a fit with other settings, which this one is not to go on from
                if "checkpoint" not in str(error):
                    raise
        result = result or fit_nwb(job.file, **job.options)
    return JobOutcome(
        job.file, "fitted", result.name, time.perf_counter() - started, scores=_pick_scores(result.dataset.attrs)
    )


def has_checkpoint(job: FitJob) -> bool:
    """Whether a fit into the job's file was ended in its training, and has left a checkpoint to go on from."""
    if is_remote(job.target):
        return False
    target, wanted = Path(job.target).resolve(), job.options.get("name")
    if (folder := job.options.get("checkpoint")) is not None:
        return any(Path(folder).glob("checkpoint-*"))
    return any(
        found["file"] == target.name and (wanted is None or found["fit"] == wanted)
        for found in list_checkpoints(target.parent)
    )


def _describe_plan(plan: Mapping[str, Any]) -> str:
    source, memory, seconds = plan["source"], plan.get("memory_bytes"), plan.get("seconds")
    between = (plan.get("to_choose") or {}).get("bins")
    bins = f"{between[0]} to {between[1]}" if between else plan["bins"]
    parts = [f"{source.get('path')}: {plan['channels']} channels, {bins} bins, {plan['segments']} segments"]
    parts += [f"about {memory / 2**30:.1f} GiB"] if memory else []
    parts += [f"about {seconds:.2g} s" if seconds < 100 else f"about {seconds / 60:.0f} min"] if seconds else []
    parts += [f"not as it is asked: {plan['refusal']}"] if plan.get("refusal") else []
    return "; ".join(parts)


def find_fit(job: FitJob) -> tuple[str, Scores] | None:
    """Find a fit to the same request and to unchanged data in the file: its name and scores, or None."""
    target = Path(job.target)
    if is_remote(job.target) or not target.exists():
        return None
    # compared by the request and not by the stored configuration, which defaults of a later version would change
    request = hash_request({**FIT_DEFAULTS, **job.options})
    wanted = job.options.get("name")
    for fit in list_results(target):
        # a fit to data that have changed since is made again
        if (wanted is None or fit["name"] == wanted) and not fit["stale"] and not fit["unreadable"]:
            stored = read_result(target, fit["name"])
            if stored.provenance.get("request") == request:
                return str(fit["name"]), _pick_scores(stored.dataset.attrs)
    return None


def _pick_scores(attrs: Mapping[str, Any]) -> Scores:
    scores = attrs.get("scores", {})
    return {
        "dim": attrs.get("dim"),
        "k_eff": attrs.get("k_eff"),
        "bottleneck_r2": scores.get("bottleneck_r2"),
        "pca_r2": scores.get("pca_r2"),
    }
