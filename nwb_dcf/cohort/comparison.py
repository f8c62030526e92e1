"""Groups of animals, or two kinds of trials, compared in a stored cohort; nothing is fitted anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.cohort_record import CohortRecord
from ..errors import DataError, DCFError, ParameterError
from ..io.recordings import describe_session
from ..io.results import read_cohort, read_result
from .anchors import AlignedFrames
from .findings import Finding, note_groups, note_kinds
from .group_table import read_groups
from .groups import GroupComparison, compare_groups
from .labels import TrialClock, label_frames, read_labels
from .record import describe_groups, describe_kinds
from .stored import make_generator, require_session
from .within import KindComparison, KindSession, compare_kinds


@dataclass(frozen=True)
class CohortComparison:
    """Result of `compare_cohort`.

    Attributes
    ----------
    groups : GroupComparison or None
    kinds : KindComparison or None
    findings : list of Finding
    conditions : list of str
    bins : list of float
        Middle of each, seconds from the start of the trial.
    """

    groups: GroupComparison | None
    kinds: KindComparison | None
    findings: list[Finding]
    conditions: list[str]
    bins: list[float]

    def to_dict(self) -> dict[str, object]:
        """Return the comparison as a JSON-able dict."""
        return {
            "findings": [finding.to_dict() for finding in self.findings],
            "groups": None if self.groups is None else describe_groups(self.groups),
            "kinds": None if self.kinds is None else describe_kinds(self.kinds),
            "conditions": self.conditions,
            "bins": self.bins,
        }


def compare_cohort(
    cohort_file: str | Path,
    *,
    groups: str | Path | Mapping[str, str] | None = None,
    animal: str | None = None,
    compare: str | None = None,
    sessions: str | Path | None = None,
    n_permutations: int = 999,
    seed: int = 0,
) -> CohortComparison:
    """Compare two groups of animals in a stored cohort, or two kinds of trials within its sessions.

    Parameters
    ----------
    cohort_file : str or Path
    groups : path or mapping, optional
        CSV with the columns ``file`` and ``group``, and perhaps ``animal``; or the group of each file name.
    animal : str, optional
        ``"subject_id"``: sessions of one subject are one animal.
    compare : str, optional
        Column of trials with two values, as ``"outcome"``: compared within each session.
    sessions : str or Path, optional
        Folder of the sessions' files, see `nwb_dcf.cohort.list_cohort`.
    n_permutations : int
        Of trials; divisions of animals are counted out where they are few.
    seed : int

    Returns
    -------
    CohortComparison

    Raises
    ------
    DCFError
        If neither or both are asked for, there are not two groups or kinds, or sessions' files are not there.
    """
    if (groups is None) == (compare is None):
        raise ParameterError("one comparison at a time", fix="give --groups CSV, or --compare COLUMN")
    if n_permutations < 19:
        raise ParameterError(f"n_permutations is {n_permutations}", fix="give 19 or more")
    record = read_cohort(cohort_file)
    if "behavior" in record.config:
        raise DataError("anchors of this cohort are bins of behaviour, without a course in time to compare")
    rng = make_generator(seed)
    about = [str(label) for label in record.dataset["condition"].values], record.dataset["bin"].values.tolist()
    if compare is not None:
        kinds = _compare_kinds(cohort_file, record, compare, sessions, n_permutations, rng)
        return CohortComparison(None, kinds, note_kinds(kinds, compare), *about)
    names = [str(session) for session in record.dataset["session"].values]
    paths = {name: Path(name) for name in names}
    group_of, animal_of = read_groups(groups, paths)
    if animal == "subject_id":
        animal_of = {name: find_subject(require_session(cohort_file, record, name, sessions)) for name in names}
    elif animal is not None:
        raise ParameterError(f"animal is {animal!r}", fix="choose subject_id, or a column animal in the CSV of groups")
    found = compare_groups(
        record.dataset["means"].values,
        [group_of[name] for name in names],
        [animal_of.get(name, name) for name in names],
        record.dataset["anchors"].values,
        rng=rng,
    )
    return CohortComparison(found, None, note_groups(found), *about)


def find_subject(path: Path | str) -> str:
    """Return the id of the subject of a session.

    Raises
    ------
    DataError
        If the file names none.
    """
    subject = (describe_session(path).get("subject") or {}).get("subject_id")
    if not subject:
        raise DataError("the file names no subject", where=str(path), fix="name animals in the CSV of groups")
    return str(subject)


def _compare_kinds(
    cohort_file: str | Path,
    record: CohortRecord,
    column: str,
    folder: str | Path | None,
    n_permutations: int,
    rng: np.random.Generator,
) -> KindComparison:
    found: dict[str, KindSession] = {}
    left_out: dict[str, str] = {}
    failure: DCFError | None = None
    for name in map(str, record.dataset["session"].values):
        try:
            found[name] = _read_kinds(require_session(cohort_file, record, name, folder, fit=True), record, column)
        except DCFError as error:
            left_out[name], failure = str(error), error
    if failure is not None and not found:
        raise failure
    comparison = compare_kinds(found, record.dataset["anchors"].values, rng=rng, n_permutations=n_permutations)
    comparison.left_out.update(left_out)
    return comparison


def _read_kinds(path: Path, record: CohortRecord, column: str) -> KindSession:
    """Read the latents of a session out of its fit, and the kind of each trial."""
    stored = read_result(path, str(record.config["fit_name"]))
    of = (stored.provenance.get("cohort") or {}).get("sha256")
    if of != record.sha256:
        raise DataError("its latents are of another cohort", where=str(path), fix="fit the cohort again")
    data = stored.dataset
    conditions = [str(label) for label in record.dataset["condition"].values]
    clock = TrialClock(**record.config["clock"])
    of_segment = read_labels(data, str(record.config["align_on"]))
    condition, at = label_frames(data, of_segment, conditions, clock)
    index = data["segment_index"].values.astype(np.int64)
    frames = AlignedFrames(data["latents"].values, index, condition, at, len(conditions), clock.n_bins, path.name)
    return KindSession(frames, {i: kind for i, kind in enumerate(read_labels(data, column).tolist()) if kind})
