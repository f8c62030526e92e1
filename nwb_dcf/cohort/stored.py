"""A stored cohort and the files of its sessions: where they lie, and what state they are in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from ..data.cohort_record import CohortRecord
from ..errors import DCFError, ParameterError, SourceError
from ..io.recordings import locate
from ..io.results import list_results, read_cohort, read_result

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

    Parameters
    ----------
    cohort_file : str or Path
    sessions : str or Path, optional
        Folder of the sessions' files; by default where they lay as the cohort was made, seen from its folder.

    Returns
    -------
    list of dict
        The row of the table of sessions, and ``state``: ``current``; or why not, in words.
    """
    record = read_cohort(cohort_file)
    columns = [str(key) for key, variable in record.dataset.data_vars.items() if variable.dims == ("session",)]
    fit_name = str(record.config.get("fit_name", ""))
    rows = []
    for i, session in enumerate(record.dataset["session"].values):
        row: Row = {"session": str(session)}
        row |= {column: record.dataset[column].values[i].item() for column in columns}
        path = find_session(cohort_file, record, str(session), sessions, fit=True)
        row["state"] = _describe_state(path, fit_name, record.sha256)
        rows.append(row)
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
