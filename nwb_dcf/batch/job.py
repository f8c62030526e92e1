"""One file, one job: fitted, skipped where that very fit is there, or failed with a line that says why."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..config.request import hash_request
from ..errors import DCFError
from ..io.recordings import is_remote
from ..io.results import list_results, read_result

FIT_DEFAULTS = {"dim": 3, "held_out": 0.2, "null": 0, "repeats": 1}
"""Of `nwb_dcf.fit_nwb`: asked or not, they are part of the request."""
State = Literal["fitted", "skipped", "failed"]


@dataclass(frozen=True)
class FitJob:
    """What is asked of one file.

    Attributes
    ----------
    file : str
    options : dict
        Arguments of `nwb_dcf.fit_nwb`; those that stay as they are are not in it.
    threads : int
        Of the processor, so that jobs side by side do not fight.
    refusal : str
        Why the job cannot be run, where that is known beforehand; empty otherwise.
    """

    file: str
    options: dict[str, Any]
    threads: int = 1
    refusal: str = ""

    @property
    def target(self) -> str:
        """File that will hold the fit."""
        return str(self.options.get("output") or self.file)


@dataclass(frozen=True)
class JobOutcome:
    """What became of one file.

    Attributes
    ----------
    file : str
    state : {"fitted", "skipped", "failed"}
    name : str
        Of the fit; empty where there is none.
    seconds : float
    message : str
        Why it failed or was skipped.
    scores : dict
        ``bottleneck_r2`` and ``pca_r2`` of frames not fitted, ``dim``, ``k_eff``.
    """

    file: str
    state: State
    name: str = ""
    seconds: float = 0.0
    message: str = ""
    scores: dict[str, Any] = field(default_factory=dict)


def run_job(job: FitJob) -> JobOutcome:
    """Run one job; whatever goes wrong is its outcome and stops nothing.

    Parameters
    ----------
    job : FitJob

    Returns
    -------
    JobOutcome
    """
    started = time.perf_counter()
    if job.refusal:
        return JobOutcome(job.file, "failed", message=job.refusal)
    try:
        return _fit(job, started)
    except DCFError as error:
        return JobOutcome(job.file, "failed", seconds=time.perf_counter() - started, message=str(error))
    except Exception as error:
        # A defect in one file of hundreds is a line in the table too, with the place where it happened.
        place = traceback.extract_tb(error.__traceback__)[-1]
        message = f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"
        return JobOutcome(job.file, "failed", seconds=time.perf_counter() - started, message=" ".join(message.split()))


def _fit(job: FitJob, started: float) -> JobOutcome:
    there = find_fit(job)
    if there is not None:
        name, scores = there
        return JobOutcome(job.file, "skipped", name, time.perf_counter() - started, "this fit is there already", scores)
    from ..model.parallel import use_threads
    from ..pipeline.fit import fit_nwb

    with use_threads(job.threads):
        result = fit_nwb(job.file, **job.options)
    return JobOutcome(
        job.file, "fitted", result.name, time.perf_counter() - started, scores=_pick_scores(result.dataset.attrs)
    )


def find_fit(job: FitJob) -> tuple[str, dict[str, Any]] | None:
    """Name and scores of a fit to the same request and to data that have not changed, where the file has one."""
    target = Path(job.target)
    if is_remote(job.target) or not target.exists():
        return None
    request = hash_request({**FIT_DEFAULTS, **job.options})
    wanted = job.options.get("name")
    for fit in list_results(target):
        if (wanted is None or fit["name"] == wanted) and not fit["stale"]:
            stored = read_result(target, fit["name"])
            if stored.provenance.get("request") == request:
                return str(fit["name"]), _pick_scores(stored.dataset.attrs)
    return None


def _pick_scores(attrs: dict[str, Any]) -> dict[str, Any]:
    scores = attrs.get("scores", {})
    return {
        "dim": attrs.get("dim"),
        "k_eff": attrs.get("k_eff"),
        "bottleneck_r2": scores.get("bottleneck_r2"),
        "pca_r2": scores.get("pca_r2"),
    }
