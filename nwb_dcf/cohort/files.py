"""A cohort from files: read each session, fit, write a fit into each session's file, and the cohort's file last."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

from ..config import ReadConfig
from ..config.progress import Progress
from ..data.cohort_record import CohortRecord
from ..errors import DataError, DCFError, ParameterError, StoreError
from ..io.recordings import describe_session, is_remote, list_sources, locate, read_recording
from ..io.results import (
    check_cohort_output,
    check_writable,
    list_results,
    read_result,
    write_cohort,
    write_derived,
    write_result,
)
from ..io.results import read_cohort as read_cohort  # is public here
from .behavior_bins import name_end, names_series
from .cohort import Cohort
from .comparison import find_subject
from .findings import Finding
from .group_table import read_groups
from .record import from_record, to_record
from .session_fit import CohortIdentity, make_fit_in_cohort
from .session_reader import SessionReader, read_series, with_bins
from .stored import describe_place
from .unlabelled import NO_LABELS

Listen = Callable[[Progress], None] | None
SUFFIXES = (".nwb", ".zarr")
NO_EVENT = (
    "trials begin at the start times of their table: no event to align on was given. Where starts differ from the "
    "event by 80 ms between sessions, the decoding of a simulated cohort fell from .92 to .85"
)


class WrittenSession(TypedDict):
    """The fit of one session: its file, its name, and whether it was written now."""

    file: str
    fit: str
    state: Literal["written", "there"]


class AddedSession(TypedDict):
    """What `add_to_cohort` did."""

    cohort: CohortIdentity
    file: str
    fit: str
    session: str
    units: int
    trials: int
    conditions: int
    of_conditions: int
    findings: list[dict[str, str]]


@dataclass(frozen=True)
class CohortResult:
    """Result of `fit_cohort`.

    Attributes
    ----------
    cohort : Cohort
    record : CohortRecord
        As it was written.
    output : str
        The cohort's file.
    files : dict of str to dict
        Of each session ``file``, ``fit`` (name of the fit) and ``state``: ``written``, or ``there`` where it existed.
    left_out : dict of str to str
        Files that could not be used, and why.
    """

    cohort: Cohort
    record: CohortRecord
    output: str
    files: dict[str, WrittenSession] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the result as a JSON-able dict."""
        return {
            "output": self.output,
            **summarise_cohort(self.record),
            "files": self.files,
            "left_out": self.left_out,
        }


def fit_cohort(
    files: str | Path | Sequence[str | Path],
    dim: int = 3,
    *,
    align_on: str = NO_LABELS,
    output: str | Path,
    match: str | None = None,
    name: str | None = None,
    overwrite: bool = False,
    groups: str | Path | Mapping[str, str] | None = None,
    animal: str | None = None,
    sessions_to: str | Path | None = None,
    force: bool = False,
    n_permutations: int = 199,
    seed: int = 0,
    jobs: int | None = None,
    progress: Listen = None,
    **reading: Any,
) -> CohortResult:
    """Fit one latent space to many NWB files, write each session's latents into its file, and the cohort's file last.

    Parameters
    ----------
    files : path or sequence of paths
        NWB files, or a folder of them.
    dim : int
        Number of latents.
    align_on : str
        Column of trials that names the condition, as ``"trials.direction"``; a series of behaviour, as
        ``"behavior/position"``, whose bins are the anchors; ``"none"`` aligns four sessions or more by their dynamics,
        or by their cells with `match`.
    output : str or Path
        The cohort's file: results only.
    match : str, optional
        Columns whose values name a cell (``"roi_id"``): the cells that all sessions have are taken, and need no
        conditions.
    name : str, optional
        Of the fit in each session's file; ``cohort_dimN`` by default.
    overwrite : bool
        Replace fits of that name and the cohort at `output`. A fit of the same cohort is kept as it is either way.
    groups : path or mapping, optional
        CSV with the columns ``file`` and ``group``, and perhaps ``animal``; or the group of each file name.
    animal : str, optional
        ``"subject_id"``: sessions of one subject are one animal where groups are compared.
    sessions_to : str or Path, optional
        Folder for small files of results, in place of writing into the sessions' own files.
    force : bool
        Write a space of sessions whose conditions do not differ in a common way, marked ``unshared``.
    n_permutations, seed : int
        See `nwb_dcf.cohort.Cohort`.
    jobs : int, optional
        Processes that read files; by default one, and with 40 files or more as many as there are cores.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` for every session read and written.
    **reading
        What to read (``source``, ``align``, ``window``, ...), see `nwb_dcf.config.ReadConfig`; ``bin_width_s`` of units
        is 0.05 by default.

    Returns
    -------
    CohortResult

    Raises
    ------
    DCFError
        If fewer than two files can be read, or the sessions make no cohort; nothing is written then. A file that
        cannot be read is left out and named.
    """
    # the cohort's own file may lie in the folder of its sessions, and is none of them
    paths = {name: path for name, path in list_files(files).items() if not _is_cohort(path)}
    read = ReadConfig.make(**with_bins(paths.values(), reading))
    fit_name = name or f"cohort_dim{dim}"
    # a cohort there may be this one again, which is known once it is fitted
    check_cohort_output(output, overwrite=overwrite or _is_cohort(output))
    distant = [name for name, path in paths.items() if is_remote(path)]
    if distant and sessions_to is None:
        raise ParameterError(f"{distant[0]} cannot be written to", fix="name a folder for results with --sessions-to")
    if sessions_to is not None:
        _check_folder(sessions_to, paths)
    group_of, animal_of = read_groups(groups, paths)
    if match is not None and align_on != NO_LABELS:
        raise ParameterError(
            f"match is {match!r}, yet sessions are aligned on {align_on}", fix="give --match or --align-on, not both"
        )
    recordings = SessionReader(paths, read, match=match)
    recordings.read_all(align_on, progress, jobs=jobs)
    left_out = recordings.left_out
    if animal == "subject_id":
        animal_of = {session: find_subject(paths[session]) for session in recordings}
    elif animal is not None:
        raise ParameterError(f"animal is {animal!r}", fix="choose subject_id, or a column animal in the CSV of groups")
    cohort = Cohort(dim, n_permutations=n_permutations, force=force, seed=seed)
    kept_groups = {session: group_of[session] for session in recordings} if group_of else None
    kept_animals = {session: animal_of[session] for session in recordings} if animal_of else None
    if names_series(align_on):
        cohort.fit(recordings, None, groups=kept_groups, behavior=recordings.behavior, behavior_name=name_end(align_on))
    else:
        labels = None if align_on == NO_LABELS else align_on
        cohort.fit(recordings, labels, groups=kept_groups, animals=kept_animals, matched=match is not None)
    if read.align is None and align_on != NO_LABELS and not names_series(align_on):
        cohort.findings_.append(Finding("trials", "warning", NO_EVENT))
    sources = {session: recordings.sources[session] for session in recordings}
    targets = {session: _find_target(paths[session], sessions_to) for session in recordings}
    places = {
        session: {
            "place": describe_place(paths[session], output),
            "fit_place": describe_place(targets[session], output),
        }
        for session in recordings
    }
    record = to_record(
        cohort,
        config={"read": read.to_record(), "align_on": align_on, "match": match, "fit_name": fit_name},
        sources={session: {**source, **places[session]} for session, source in sources.items()},
        left_out=left_out,
    )
    # before any session's file is touched
    _refuse_other_cohort(output, record, overwrite)
    about: CohortIdentity = {"file": Path(output).name, "name": "cohort", "sha256": record.sha256}
    written: dict[str, WrittenSession] = {}
    names = list(recordings)
    if sessions_to is None:  # all are checked before the first is written
        for session in names:
            # of a fit that was ended half way, the sessions already written are kept as they are
            if not _is_there(targets[session], fit_name, record.sha256, sources[session]):
                check_writable(paths[session], name=fit_name, kind="units", dim=dim, overwrite=overwrite)
    for i, session in enumerate(names):
        target = targets[session]
        if _is_there(target, fit_name, record.sha256, sources[session]):
            written[session] = {"file": str(target), "fit": fit_name, "state": "there"}
        else:
            result = make_fit_in_cohort(
                cohort, recordings[session], session, of=about, read=read, n_sessions=len(names)
            )
            if sessions_to is None:
                write_result(result, target, name=fit_name, overwrite=overwrite)
            else:
                session_about = describe_session(paths[session])
                write_derived(result, session_about, target, name=fit_name, overwrite=overwrite or target.exists())
            written[session] = {"file": str(target), "fit": fit_name, "state": "written"}
        _report(progress, "writing", i + 1, len(names))
    # last: a cohort's file without its sessions would promise what is not there
    if not (_is_cohort(output) and read_cohort(output).sha256 == record.sha256):
        write_cohort(record, output, overwrite=overwrite)
    # read back, so that what is reported is what the file holds
    return CohortResult(cohort, read_cohort(output), str(output), written, left_out)


def add_to_cohort(
    cohort_file: str | Path,
    file: str | Path,
    *,
    name: str | None = None,
    overwrite: bool = False,
    output: str | Path | None = None,
    **reading: Any,
) -> AddedSession:
    """Couple a new session to a stored cohort and write its latents into its file; axes and field stay fixed.

    Parameters
    ----------
    cohort_file : str or Path
        As `fit_cohort` wrote it.
    file : str or Path
        NWB file of the new session.
    name : str, optional
        Of the fit in it; that of the cohort's sessions by default.
    overwrite : bool
        Replace a fit of that name.
    output : str or Path, optional
        Write a copy with the fit there.
    **reading
        What to read where it differs from the cohort's own (``source``, ``units``, ...).

    Returns
    -------
    dict
        ``file``, ``fit``, ``session``, ``trials``, ``conditions`` seen, ``units``, and ``findings``.

    Raises
    ------
    DCFError
        If the session is in the cohort, or lacks most of its conditions; nothing is written then.
    """
    record = read_cohort(cohort_file)
    config = record.config
    path = Path(file)
    fit_name = name or str(config.get("fit_name") or f"cohort_dim{record.dim}")
    # bins, events and windows of the cohort, unless they are given: anchors have a meaning in them alone
    read = ReadConfig.make(**{**{k: v for k, v in config["read"].items() if v is not None}, **reading})
    check_writable(path, name=fit_name, kind="units", dim=record.dim, overwrite=overwrite, output=output)
    recording = read_recording(path, **dataclasses.asdict(read))
    # by the identifier of the session and not by the name of its file, which a copy changes
    identifier = str(recording.attrs["source"].get("identifier") or "")
    known = {str(value) for value in record.dataset["identifier"].values} - {""}
    if identifier in known:
        raise DataError("this session is in the cohort", where=str(path), fix="its latents are in its own file")
    cohort = from_record(record)
    align_on = str(config["align_on"])
    if names_series(align_on):
        session = cohort.couple(recording, None, path.name, behavior=read_series(path, align_on, recording, read))
    else:
        session = cohort.couple(recording, align_on, path.name)
    about: CohortIdentity = {"file": Path(cohort_file).name, "name": record.name, "sha256": record.sha256}
    n_sessions = int(record.dataset.sizes["session"])
    result = make_fit_in_cohort(cohort, recording, path.name, of=about, read=read, n_sessions=n_sessions)
    written = write_result(result, path, name=fit_name, overwrite=overwrite, output=output)
    return {
        "cohort": about,
        "file": written.path,
        "fit": written.name,
        "session": path.name,
        "units": len(session.channels),
        "trials": session.n_trials,
        "conditions": int(session.seen.sum()),
        "of_conditions": len(session.seen),
        "findings": [finding.to_dict() for finding in cohort.findings_],
    }


def summarise_cohort(record: CohortRecord) -> dict[str, object]:
    """Summarise a stored cohort: contents, settings, statistics and provenance, JSON-able."""
    dataset = record.dataset
    columns = [key for key, variable in dataset.data_vars.items() if variable.dims == ("session",)]
    return {
        "name": record.name,
        "sha256": record.sha256,
        "dim": record.dim,
        "conditions": [str(label) for label in dataset["condition"].values],
        "bins": int(dataset.sizes["bin"]),
        "bin_width_s": float(record.config["clock"]["bin_width_s"]),
        "sessions": [
            {"session": str(session), **{str(key): dataset[key].values[i].item() for key in columns}}
            for i, session in enumerate(dataset["session"].values)
        ],
        "statistics": record.statistics,
        "config": record.config,
        "provenance": record.provenance,
    }


def list_files(files: str | Path | Sequence[str | Path]) -> dict[str, Path | str]:
    """List sessions by the names of their files: of a folder all NWB files in it.

    Raises
    ------
    ParameterError
        If a file is listed twice, there is none, or two have one name.
    """
    given = [files] if isinstance(files, str | Path) else list(files)
    paths: list[Path | str] = []
    for entry in given:
        place = locate(entry)
        # a session in Zarr is a folder too
        if isinstance(place, Path) and place.is_dir() and place.suffix not in SUFFIXES:
            paths += sorted(p for p in place.iterdir() if p.suffix in SUFFIXES and not p.name.startswith("."))
        else:
            # an address stays text: a path would lose one of its slashes
            paths.append(place if isinstance(place, Path) else str(entry))
    named: dict[str, Path | str] = {}
    for path in paths:
        name = locate(path).name
        if name in named:
            what = "is listed twice" if named[name] == path else "and another file have one name"
            raise ParameterError(f"{name} {what}", fix="list each session once, and give each its name")
        named[name] = path
    if not named:
        raise ParameterError("no NWB file", where=", ".join(map(str, given)), fix="give files or a folder of them")
    return named


def _find_target(path: Path | str, sessions_to: str | Path | None) -> Path:
    if sessions_to is None:
        return Path(path)
    return Path(sessions_to) / Path(locate(path).name).with_suffix(".nwb")


def _check_folder(sessions_to: str | Path, paths: Mapping[str, Path | str]) -> None:
    """Refuse a folder in which a file of results would take the place of a file with data.

    Raises
    ------
    ParameterError
        If there is no such folder.
    StoreError
        If a file there that would be replaced holds more than results.
    """
    if not Path(sessions_to).is_dir():
        raise ParameterError("no such folder", where=str(sessions_to), fix="make it first")
    for path in paths.values():
        target = _find_target(path, sessions_to)
        # a session's own file, or another of its name: whatever it is, results would be all that is left of it
        if target.exists() and (not _holds_results_alone(target)):
            raise StoreError(
                "holds more than results of a cohort, and would be replaced",
                where=str(target),
                fix="name another folder with --sessions-to, or leave it out",
            )


def _holds_results_alone(target: Path) -> bool:
    try:
        return bool(list_results(target)) and not list_sources(target).sources
    # what cannot be read is nobody's to replace
    except (DCFError, OSError):
        return False


def _is_cohort(path: str | Path) -> bool:
    if is_remote(path):
        return False
    try:
        read_cohort(path)
    # whatever cannot be read as a cohort is none
    except (StoreError, OSError):
        return False
    return True


def _refuse_other_cohort(output: str | Path, record: CohortRecord, overwrite: bool) -> None:
    if _is_cohort(output) and read_cohort(output).sha256 != record.sha256 and not overwrite:
        raise StoreError("holds another cohort", where=str(output), fix="replace it with --overwrite, or name another")


def _is_there(path: Path, fit_name: str, sha256: str, source: Mapping[str, object]) -> bool:
    """Whether the file holds this cohort's fit of this very source already."""
    try:
        stored = read_result(path, fit_name)
    except (DCFError, OSError):
        return False
    # by hash: a cohort of other sessions or settings has other axes, and its latents another meaning
    same = (stored.provenance.get("cohort") or {}).get("sha256") == sha256
    return same and (stored.provenance.get("source") or {}).get("sha256") == source.get("sha256")


def _report(progress: Listen, stage: str, step: int, steps: int) -> None:
    if progress is not None:
        progress(Progress(stage, step, steps, unit="session"))
