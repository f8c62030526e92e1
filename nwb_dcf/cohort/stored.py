"""A stored cohort and the files of its sessions: where they lie, and what state they are in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from ..data.cohort_record import CohortRecord
from ..errors import DCFError, ParameterError, SourceError
from ..io.recordings import locate
from ..io.results import list_results, read_cohort, read_result

SUFFIXES = (".nwb", ".zarr")
Row = dict[str, object]  # of the table of sessions, by its columns


def describe_place(path: str | Path, output: str | Path) -> str:
    """Return where a session lies as seen from the cohort's folder; its name alone where that is not below it."""
    place, folder = locate(path), Path(output).resolve().parent
    if not isinstance(place, Path):
        return place.name
    place = place.resolve()
    return place.relative_to(folder).as_posix() if place.is_relative_to(folder) else place.name


def find_session(
    cohort_file: str | Path, record: CohortRecord, session: str, folder: str | Path | None = None, *, fit: bool = False
) -> Path:
    """Find the file of a session: in `folder`, else where it lay as the cohort was made, else beside the cohort.

    Parameters
    ----------
    cohort_file : str or Path
    record : CohortRecord
    session : str
    folder : str or Path, optional
    fit : bool
        Find the file that holds the session's latents, which may be another than that with its data.

    Returns
    -------
    Path
        It need not exist.
    """
    about: Mapping[str, object] = (record.provenance.get("sources") or {}).get(session) or {}
    place = PurePosixPath(str((about.get("fit_place") if fit else None) or about.get("place") or session))
    if folder is not None:
        return Path(folder) / place.name
    beside = Path(cohort_file).parent
    # a file may come from anywhere: what it names is looked for below its own folder alone
    safe = not place.is_absolute() and ".." not in place.parts
    return beside / place if safe and (beside / place).exists() else beside / place.name


def require_session(
    cohort_file: str | Path, record: CohortRecord, session: str, folder: str | Path | None = None, *, fit: bool = False
) -> Path:
    """Find the file of a session, which must be there.

    Raises
    ------
    SourceError
        If it is not.
    """
    path = find_session(cohort_file, record, session, folder, fit=fit)
    if not path.exists():
        raise SourceError("no such file", where=str(path), fix="name the folder of the sessions with --sessions")
    return path


def list_cohort(cohort_file: str | Path, *, sessions: str | Path | None = None) -> list[Row]:
    """List the sessions of a stored cohort, and whether their files still hold its latents.

    Sessions that were coupled later come last. The cohort's file does not know of them: they are looked for in its
    folder and in those of its sessions.

    Parameters
    ----------
    cohort_file : str or Path
    sessions : str or Path, optional
        Folder of the sessions' files; by default where they lay as the cohort was made, seen from its folder.

    Returns
    -------
    list of dict
        The row of the table of sessions, and ``state``: ``current``, or why not, in words. The row of a session that
        was coupled later has ``units``, ``trials``, ``in_axes`` and ``state`` alone.
    """
    record = read_cohort(cohort_file)
    columns = [str(key) for key, variable in record.dataset.data_vars.items() if variable.dims == ("session",)]
    fit_name = str(record.config.get("fit_name", ""))
    rows: list[Row] = []
    known = {Path(cohort_file).resolve()}
    for i, session in enumerate(record.dataset["session"].values):
        row: Row = {"session": str(session)}
        row |= {column: record.dataset[column].values[i].item() for column in columns}
        path = find_session(cohort_file, record, str(session), sessions, fit=True)
        row["state"] = _describe_state(path, fit_name, record.sha256)
        rows.append(row)
        # its data may lie in another file than its latents
        known |= {path.resolve(), find_session(cohort_file, record, str(session), sessions).resolve()}
    folders = {Path(sessions).resolve()} if sessions is not None else {path.parent for path in known}
    return rows + _list_coupled(record, folders, known)


def _list_coupled(record: CohortRecord, folders: Collection[Path], known: Collection[Path]) -> list[Row]:
    """List the sessions in `folders` that were coupled to the cohort after it was made, by the name of their file."""
    rows: list[Row] = []
    files = {path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.suffix in SUFFIXES}
    for path in sorted(files - set(known)):
        try:
            names = [str(fit["name"]) for fit in list_results(path) if not fit["unreadable"]]
            fits = {name: read_result(path, name) for name in names}
        except DCFError:  # whatever else lies in the folder is no matter of the cohort's
            continue
        for name, fit in fits.items():
            about = fit.provenance.get("cohort") or {}
            # not `transform --model`, which names the cohort that it took a session's coupling from
            if about.get("sha256") == record.sha256 and about.get("session") == path.name:
                sizes = fit.dataset.sizes
                rows.append(
                    {
                        "session": path.name,
                        "units": int(fit.dataset["mean"].size),
                        "trials": int(sizes["segment"]),
                        "in_axes": False,
                        "state": f"coupled later, {_describe_state(path, name, record.sha256)}",
                    }
                )
    return rows


def _describe_state(path: Path, fit_name: str, sha256: str) -> str:
    if not path.exists():
        return f"there is no file {path.name} beside the cohort's"
    try:
        fits = {fit["name"]: fit for fit in list_results(path)}
        if fit_name not in fits:
            return f"its file has no fit {fit_name}"
        if fits[fit_name]["stale"]:
            return f"changed since: {fits[fit_name]['stale_because']}"
        of = (read_result(path, fit_name).provenance.get("cohort") or {}).get("sha256")
    except DCFError as error:
        return str(error)
    return "current" if of == sha256 else f"its fit {fit_name} is of another cohort"


def make_generator(seed: int) -> np.random.Generator:
    """Return the generator of a seed.

    Raises
    ------
    ParameterError
        If it is no whole number from 0 on.
    """
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise ParameterError(f"seed is {seed!r}", fix="give a whole number, 0 or more")
    return np.random.default_rng(seed)
