"""Fit many files: one job each, by an engine of the user's choice."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config.progress import Progress
from ..errors import DCFError, ParameterError
from ..io.backends.dandi import is_dandiset
from ..io.backends.location import Address, is_remote, locate
from .engines import ENGINES, EngineOptions, run_engine
from .job import FitJob
from .outcome import JobOutcome
from .report import BatchReport, check_report, sort_outcomes
from .settings import Settings, load_overrides

SUFFIXES = (".nwb", ".zarr")


def run(
    files: str | Path | Sequence[str | Path],
    engine: str = "joblib",
    engine_kwargs: EngineOptions | None = None,
    *,
    overrides: str | Path | Mapping[str, Settings] | None = None,
    output_folder: str | Path | None = None,
    report: str | Path | None = None,
    threads: int = 1,
    dry_run: bool = False,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> BatchReport:
    """Fit each of many NWB files and write each result into its file.

    A file that has a fit to the same request, of data that have not changed, is skipped: to resume, run again. A fit
    that was ended in its training goes on from its checkpoint. A file that fails is a line in the report and stops no
    other.

    Parameters
    ----------
    files : path or sequence of paths
        NWB files, addresses, folders of NWB files, or ``dandi://DANDISET``, which stands for all of its NWB files.
    engine : {"loop", "joblib", "processpoolexecutor", "dask", "slurm"}
        Library that runs the jobs.
    engine_kwargs : mapping, optional
        The engine's own arguments: ``n_jobs`` of joblib, ``max_workers``, ``client`` of Dask, ``folder`` and Slurm's
        parameters of submitit.
    overrides : path or mapping, optional
        Settings that differ for some files: a CSV (`load_overrides`), or settings by file name.
    output_folder : str or Path, optional
        Write copies with the fits there, under the files' own names, and leave the files alone.
    report : str or Path, optional
        Also write the table to this .csv or .json.
    threads : int
        Of the processor for each job. One is fastest for a session's fit, and gives every engine the same numbers.
    dry_run : bool
        Fit nothing: the table says what would be read and fitted, what is there already, and what would fail.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` as each file is done.
    **options
        Arguments of `nwb_dcf.fit_nwb` for all files.

    Returns
    -------
    BatchReport

    Raises
    ------
    ParameterError
        If there is no file, a file is listed twice, an engine or an override is unknown.

    Examples
    --------
    >>> report = run("sessions/", engine="joblib", dim=3, seed=1)  # doctest: +SKIP
    >>> report.counts  # doctest: +SKIP
    {'fitted': 12, 'skipped': 0, 'failed': 1}
    """
    for name in ("write", "output"):  # each file has a destination of its own
        if name in options:
            raise ParameterError(f"{name} is given for many files", fix="give name, overwrite or output_folder")
    if engine not in ENGINES:
        raise ParameterError(f"engine is {engine!r}", fix=f"choose one of {', '.join(ENGINES)}")
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ParameterError(f"threads is {threads!r}", fix="give a whole number, 1 or more")
    # all that can be refused before hours of fits
    if report is not None:
        check_report(report)
    if output_folder is not None and not Path(output_folder).is_dir():
        raise ParameterError("no such folder", where=str(output_folder), fix="make it first")
    sessions = list_sessions(files)
    if output_folder is None and all(is_remote(file) for file in sessions):
        raise ParameterError("addresses cannot be written to", fix="name a folder for results with --output-folder")
    # every job looks for its checkpoint by itself: asked for or not, it is the same
    options.pop("resume", None)
    jobs = make_jobs(sessions, options, overrides, output_folder, threads)
    if dry_run:
        jobs = [dataclasses.replace(job, dry=True) for job in jobs]
    outcomes: list[JobOutcome] = []
    for outcome in run_engine(engine, jobs, engine_kwargs):
        outcomes.append(outcome)
        if progress is not None:
            progress(Progress("reading files" if dry_run else "fitting files", len(outcomes), len(jobs), unit="file"))
    result = BatchReport(sort_outcomes(outcomes, [job.file for job in jobs]), engine)
    if report is not None:
        result.write(report)
    return result


def make_jobs(
    files: Sequence[str],
    options: Settings,
    overrides: str | Path | Mapping[str, Settings] | None = None,
    output_folder: str | Path | None = None,
    threads: int = 1,
) -> list[FitJob]:
    """Make the job of each file; a file that cannot be fitted gets a refusal in place of a fit.

    Raises
    ------
    ParameterError
        If an override names none of the files.
    """
    changed = load_overrides(overrides) if isinstance(overrides, str | Path) else dict(overrides or {})
    names = [locate(file).name for file in files]
    twice = [name for name in names if names.count(name) > 1]
    if twice and (output_folder is not None or twice[0] in changed):
        raise ParameterError(f"{twice.count(twice[0])} of the files have the name {twice[0]}", fix="run them apart")
    for name in changed:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            # a misspelt name would leave its file to the common settings, in silence
            fix = f"did you mean {near[0]}?" if near else "name the files as they are"
            raise ParameterError(f"an override names {name}, which is none of the files", fix=fix)
    jobs = []
    for file, name in zip(files, names, strict=True):
        # what is given for one file comes before what is given for all
        own = {**options, **changed.get(name, {})}
        if output_folder is not None:
            own["output"] = str(Path(output_folder) / name)
            # nobody asked for a copy of a whole remote file
            if is_remote(file):
                own["results_only"] = True
        jobs.append(FitJob(file, own, threads, _find_refusal(file)))
    return jobs


def _find_refusal(file: str) -> str:
    """Return why a file cannot be fitted, without opening it; empty where nothing is known against it."""
    try:
        return "" if is_remote(file) or Path(file).exists() else f"{file}: no such file"
    except (DCFError, OSError) as error:
        return str(error)


def list_sessions(files: str | Path | Sequence[str | Path]) -> list[str]:
    """List the files to fit: those given, and all NWB files in folders that were given.

    Raises
    ------
    ParameterError
        If there is none, or one is listed twice.
    """
    given = [files] if isinstance(files, str | Path) else list(files)
    found: list[str] = []
    for entry in given:
        place = locate(entry)
        if not stands_for_many(entry):
            found.append(str(place) if isinstance(place, Path) else str(entry))
        elif isinstance(place, Address):
            from ..io.recordings import list_dandiset  # pynwb

            found += list_dandiset(place)
        else:
            inside = sorted(p for p in place.iterdir() if p.suffix in SUFFIXES and not p.name.startswith("."))
            if not inside:
                raise ParameterError("holds no NWB file", where=str(place), fix="give a folder of .nwb or .zarr")
            found += [str(p) for p in inside]
    if not found:
        raise ParameterError("no file", fix="give NWB files or a folder of them")
    # one file under two paths would be written by two jobs at once
    keys = [file if is_remote(file) else str(Path(file).resolve()) for file in found]
    twice = [file for file, key in zip(found, keys, strict=True) if keys.count(key) > 1]
    if twice:
        raise ParameterError(f"{twice[0]} is listed twice", fix="list each file once")
    return found


def stands_for_many(entry: str | Path) -> bool:
    """Whether `entry` is a folder that is not itself a session in Zarr, or a dandiset."""
    place = locate(entry)
    if isinstance(place, Address):
        return is_dandiset(place)
    is_zarr = place.suffix in SUFFIXES or any((place / name).exists() for name in (".zgroup", ".zattrs", "zarr.json"))
    return place.is_dir() and not is_zarr
