"""The page of a stored cohort: what was found, and the pictures, in one HTML file that opens offline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..config.progress import Progress
from ..data.cohort_record import CohortRecord
from ..io.export import check_export, write_whole
from ..io.results import read_cohort
from ..pipeline.plot import require_plotting
from .anchors import Floats
from .comparison import compare_cohort
from .evaluation import evaluate_cohort
from .group_table import read_groups
from .vector_field import find_paths, fit_field

if TYPE_CHECKING:
    from ..plots.cohort import CohortPicture, FieldDifference


class CohortPageReport(TypedDict):
    """What was drawn, and where it is."""

    written: str
    sessions: int
    left_out: dict[str, str]


def plot_cohort(
    cohort_file: str | Path,
    *,
    output: str | Path,
    against: str | None = None,
    groups: str | Path | Mapping[str, str] | None = None,
    animal: str | None = None,
    compare: str | None = None,
    sessions: str | Path | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> CohortPageReport:
    """Draw a stored cohort on one page.

    Parameters
    ----------
    cohort_file : str or Path
    output : str or Path
        An ``.html`` file, with everything in it.
    against : str, optional
        Behaviour to decode across the animals, see `evaluate_cohort`; their files are read then.
    groups, animal, compare : optional
        Compare groups or kinds of trials, see `compare_cohort`. The groups with which the cohort was fitted are drawn
        in any case.
    sessions : str or Path, optional
        Folder of the sessions' files.
    seed : int
    overwrite : bool
        Replace a file that exists.
    progress : callable, optional

    Returns
    -------
    dict
        ``written``, ``sessions`` (number), ``left_out``: sessions that could not be decoded or compared.

    Raises
    ------
    DCFError
        If the cohort cannot be read, or a package for plots is not installed.
    """
    output = Path(output)
    check_export(output, overwrite=overwrite, formats=(".html",))
    require_plotting(html=True)
    record = read_cohort(cohort_file)
    from ..plots.cohort import CohortPicture
    from ..plots.cohort_page import write_cohort_page

    findings = list(record.statistics["findings"])
    left_out: dict[str, str] = {}
    decoding = None
    if against is not None:
        evaluation = evaluate_cohort(cohort_file, against=against, sessions=sessions, seed=seed, progress=progress)
        decoding = evaluation.to_dict()
        left_out |= evaluation.left_out
    dataset = record.dataset
    group_of = [str(group) for group in dataset["group"].values]
    differences: dict[str, FieldDifference] = {}
    stored = record.statistics.get("groups")
    width = float(record.config["clock"]["bin_width_s"])
    if groups is not None:
        found = compare_cohort(cohort_file, groups=groups, animal=animal, sessions=sessions, seed=seed)
        # those of the fit were of its own groups, perhaps the same
        findings = [one for one in findings if one["about"] != "groups"]
        findings += [finding.to_dict() for finding in found.findings]
        stored = found.to_dict()["groups"]
        named, _ = read_groups(groups, map(str, dataset["session"].values))
        group_of = [named[str(session)] for session in dataset["session"].values]
    if isinstance(stored, Mapping):
        differences["group"] = _compare_fields(record, group_of, stored, width)
    if compare is not None:
        kinds = compare_cohort(cohort_file, compare=compare, sessions=sessions, seed=seed)
        findings += [finding.to_dict() for finding in kinds.findings]
        if kinds.kinds is not None:
            left_out |= kinds.kinds.left_out
            differences[compare] = _describe_difference(
                kinds.kinds.kinds,
                (kinds.kinds.fields[0] / width, kinds.kinds.fields[1] / width),
                kinds.kinds.difference / width,
                kinds.kinds.threshold / width,
            )
    sharing = record.statistics.get("sharing")
    start = (record.config["read"].get("window") or [0.0])[0] if record.config["read"].get("align") else 0.0
    picture: CohortPicture = CohortPicture(
        sessions=[str(session) for session in dataset["session"].values],
        conditions=[str(label) for label in dataset["condition"].values],
        groups=group_of,
        time=dataset["bin"].values + start,
        anchors=dataset["anchors"].values,
        means=dataset["means"].values,
        decoding=decoding,
        similarity=np.array(sharing["similarity"]) if sharing else None,
        differences=differences,
    )
    page = write_cohort_page(picture, Path(cohort_file).name, _list_facts(record), findings, _list_rows(record))
    write_whole(output, lambda beside: _write_text(beside, page))
    return {"written": str(output), "sessions": len(picture.sessions), "left_out": left_out}


def _write_text(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")


def _compare_fields(
    record: CohortRecord, group_of: list[str], stored: Mapping[str, object], width: float
) -> FieldDifference:
    """Fit the field of each group at the anchors, as the test compares them: the mean over its sessions."""
    first, second = (str(name) for name in stored["groups"])  # type: ignore[attr-defined]
    anchors = record.dataset["anchors"].values
    points = anchors.reshape(-1, anchors.shape[2])
    means = record.dataset["means"].values
    fields: dict[str, list[Floats]] = {first: [], second: []}
    for group, one in zip(group_of, means, strict=True):
        if group in fields:
            fields[group].append(fit_field([find_paths(one)])(points).reshape(anchors.shape) / width)
    velocities = np.mean(fields[first], axis=0), np.mean(fields[second], axis=0)
    distance = np.asarray(stored["difference"], np.float64) / width
    threshold = stored["threshold"]
    return _describe_difference(
        (first, second),
        velocities,
        distance,
        float(threshold) / width if isinstance(threshold, float) else float("nan"),
    )


def _describe_difference(
    names: tuple[str, str],
    velocities: tuple[NDArray[np.float64], NDArray[np.float64]],
    distance: NDArray[np.float64],
    threshold: float,
) -> FieldDifference:
    from ..plots.cohort import FieldDifference

    return FieldDifference(names, velocities, distance, threshold)


def _list_facts(record: CohortRecord) -> dict[str, str]:
    dataset, config = record.dataset, record.config
    read = config["read"]
    event = (
        f"{read['align']}, window {read['window'][0]:g} to {read['window'][1]:g} s"
        if read.get("align")
        else "start of the trial"
    )
    return {
        "cohort": f"{dataset.sizes['session']} sessions in {record.dim} latents"
        + (", UNSHARED: fitted by force" if record.statistics["unshared"] else ""),
        "conditions": f"{dataset.sizes['condition']} of {config['align_on']}: "
        + ", ".join(map(str, dataset["condition"].values)),
        "bins": f"{dataset.sizes['bin']} of {float(config['clock']['bin_width_s']):g} s from {event}",
        "axes": "slowest first; fraction of the means' energy "
        + ", ".join(f"{value:.2f}" for value in dataset["variance"].values),
        "made": f"{record.provenance.get('created', '?')}, nwb_dcf "
        f"{record.provenance.get('versions', {}).get('nwb_dcf', '?')}, seed {record.provenance.get('seed', '?')}, "
        f"sha256 {record.sha256[:12]}",
    }


def _list_rows(record: CohortRecord) -> list[dict[str, str]]:
    dataset = record.dataset
    columns = ("animal", "group", "units", "trials", "conditions", "in_axes", "p", "own_r2", "shared_r2")
    shown = [c for c in columns if c in dataset and (c != "group" or any(map(str, dataset[c].values)))]
    rows = []
    for i, session in enumerate(dataset["session"].values):
        row = {"session": str(session)}
        for column in shown:
            value = dataset[column].values[i].item()
            row[column.replace("_r2", " R²").replace("_", " ")] = _show(value)
        rows.append(row)
    return rows


def _show(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
