"""Findings about a cohort: one sentence each, with its figures; a refusal is a finding too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from .alignment import LEAST_AGREEMENT, LEAST_LEAD, LEAST_SESSIONS, LEAST_SHARED, Alignment
from .groups import GroupComparison
from .labels import find_nearest, list_values
from .sharing import LEVEL, SharingTest
from .vector_field import DIFFERENT_RATIO, LEAST_OWN, SharedDynamics
from .within import KindComparison

if TYPE_CHECKING:
    from jaxtyping import Float

LEAST_TRIALS = 10  # below it a coupling's scores vary as much as they are large
LEAST_AXIS = 0.9  # correlation, below which an axis may have turned into its neighbour
FEW_ANIMALS = 4  # in a group, up to which one animal decides the verdict

Severity = Literal["good", "note", "warning", "refused"]


@dataclass(frozen=True)
class Finding:
    """One sentence about a cohort.

    Attributes
    ----------
    about : str
        ``sharing``, ``session``, ``dynamics``, ``axes``, ``trials``, ``groups``, ``kinds``, ``alignment``.
    severity : {"good", "note", "warning", "refused"}
    sentence : str
    """

    about: str
    severity: Severity
    sentence: str

    def to_dict(self) -> dict[str, str]:
        """Return the finding as a JSON-able dict."""
        return asdict(self)


def note_sharing(
    test: SharingTest,
    names: Sequence[str],
    *,
    of: str = "permutations of conditions",
    what: tuple[str, str] = ("conditions", "differ"),
) -> list[Finding]:
    """Note whether conditions differ in a common way, and in which sessions they do not."""
    who, do = what
    figures = f"p {test.p:.3g} of {test.n_permutations} {of}, floor {test.floor:.2g}"
    # first: without a common way no session can be compared with it
    if test.p > LEVEL:
        return [Finding("sharing", "refused", f"{who} do not {do} in a common way in these sessions ({figures})")]
    findings = [Finding("sharing", "good", f"{who} {do} in a common way across the sessions ({figures})")]
    for name, p, floor, in_axes in zip(names, test.p_session, test.floor_session, test.included, strict=True):
        if p > LEVEL:
            # of three conditions there are six permutations: p cannot be below 1/6
            few = "its few conditions allow no less" if floor > LEVEL else "too few do to leave the others out"
            why = few if in_axes else "it is left out of the axes"
            findings.append(
                Finding("session", "warning", f"{who} of {name} do not {do} in the common way (p {p:.3g}); {why}")
            )
    return findings


def note_dynamics(dynamics: SharedDynamics) -> Finding:
    """Note whether one velocity field describes all sessions; descriptive, without a p value."""
    # medians: one noisy session must not decide for all
    if not np.isfinite(dynamics.own).any():
        return Finding("dynamics", "note", "whether the dynamics are shared: cannot tell, there are too few trials")
    own, shared = float(np.nanmedian(dynamics.own)), float(np.nanmedian(dynamics.shared))
    figures = f"R2 of velocities on held-out trials: the others' field {shared:.2f}, its own {own:.2f} (medians)"
    if dynamics.verdict == "shared":
        return Finding(
            "dynamics", "good", f"one shared v describes the sessions, ratio {dynamics.ratio:.2f}; {figures}"
        )
    if dynamics.verdict == "different":
        return Finding(
            "dynamics",
            "warning",
            f"the sessions differ in dynamics: one shared v is not supported, ratio {dynamics.ratio:.2f} "
            f"below {DIFFERENT_RATIO}; {figures}",
        )
    why = f"own v below {LEAST_OWN}" if own < LEAST_OWN else f"ratio {dynamics.ratio:.2f}"
    return Finding("dynamics", "note", f"whether the dynamics are shared: cannot tell ({why}); {figures}")


def note_axes(
    over_trials: Float[np.ndarray, "repeat latent"] | None, over_sessions: Float[np.ndarray, "repeat latent"] | None
) -> list[Finding]:
    """Note which axes repeat.

    Parameters
    ----------
    over_trials, over_sessions : array, shape (repeat, latent)
        As `nwb_dcf.cohort.stability` gives them.
    """
    found = []
    for what, values in (("resampled trials", over_trials), ("disjoint sets of sessions", over_sessions)):
        if values is None and what == "resampled trials":
            continue
        if values is None:
            found.append(Finding("axes", "warning", "fewer than 4 sessions: axes may turn with other sessions"))
            continue
        # of correlations over repeats; an axis that swaps with its neighbour in some is below the bound
        mean = values.mean(axis=0)
        weak = [str(i + 1) for i in np.flatnonzero(mean < LEAST_AXIS)]
        listed = ", ".join(f"{value:.2f}" for value in mean)
        if weak:
            which = f"axes {', '.join(weak)} are" if len(weak) > 1 else f"axis {weak[0]} is"
            sentence = f"{which} determined as a plane only over {what} (correlations {listed})"
            found.append(Finding("axes", "warning", sentence))
        else:
            found.append(Finding("axes", "good", f"axes repeat over {what} (correlations {listed})"))
    return found


def note_trials(
    n_trials: Mapping[str, int], seen: Mapping[str, NDArray[np.bool_]], conditions: Sequence[str]
) -> list[Finding]:
    """Warn of sessions with few trials or without a condition."""
    found = []
    for name, n in n_trials.items():
        if n < LEAST_TRIALS:
            found.append(
                Finding("trials", "warning", f"{name} has {n} trials; below {LEAST_TRIALS} a coupling is uncertain")
            )
        missing = [condition for condition, known in zip(conditions, seen[name], strict=True) if not known]
        if missing:
            listed = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
            found.append(
                Finding("trials", "warning", f"{name} lacks {len(missing)} of {len(conditions)} conditions ({listed})")
            )
    return found


def note_strange_labels(labels: Mapping[str, NDArray[np.str_]], conditions: Sequence[str]) -> list[Finding]:
    """Warn of trials whose label no other session has: they are in no anchor, and may be misspelt."""
    found = []
    for name, values in labels.items():
        strange = [label for label in list_values(values) if label not in conditions]
        if strange:
            n = int(np.isin(values, strange).sum())
            near = find_nearest(strange[0], conditions)
            guess = f", is {strange[0]} their {near}?" if near else ""
            listed = ", ".join(strange[:5]) + (" ..." if len(strange) > 5 else "")
            sentence = (
                f"{n} trials of {name} have labels that no other session has ({listed}{guess}); they are not used"
            )
            found.append(Finding("trials", "warning", sentence))
    return found


def note_groups(groups: GroupComparison) -> list[Finding]:
    """Note whether two groups differ, where the number of animals allows a verdict."""
    first, second = groups.groups
    floor = f"floor {groups.floor:.2g}"
    # a p that cannot be small is no finding, and is not shown as one
    if not groups.can_tell:
        sentence = f"no verdict on groups: this number of animals cannot go below p = {groups.floor:.2f}"
        return [Finding("groups", "refused", sentence)]
    percent = 100 * (groups.ratio - 1)
    speed = f"{second} runs at {groups.ratio:.3f} of the speed of {first}"
    # each session's coupling is fitted to the common anchors, and takes a part of the difference with it
    bound = f"{speed} ({percent:+.1f} %: a lower bound of the difference)"
    found = [
        Finding("groups", "good", f"groups differ in speed (p {groups.p_speed:.3g}, {floor}): {bound}")
        if groups.p_speed <= LEVEL
        else Finding(
            "groups",
            "note",
            f"no difference in speed found (p {groups.p_speed:.3g}, {floor})",
        ),
        Finding("groups", "good", f"groups differ in their fields (p {groups.p_field:.3g}, {floor})")
        if groups.p_field <= LEVEL
        else Finding("groups", "note", f"no difference of the fields found (p {groups.p_field:.3g}, {floor})"),
    ]
    if max(groups.p_speed, groups.p_turned) <= LEVEL:
        # a path that is turned comes less far along those of the others
        sentence = (
            f"divided by their speeds the fields differ as well (p {groups.p_turned:.3g}): that they are turned may be "
            "what speed has found"
        )
        found.append(Finding("groups", "warning", sentence))
    if min(np.count_nonzero(np.array(groups.is_second)), np.count_nonzero(~np.array(groups.is_second))) <= FEW_ANIMALS:
        found.append(Finding("groups", "warning", f"{FEW_ANIMALS} animals or fewer in a group"))
    return found


def note_kinds(kinds: KindComparison, column: str) -> list[Finding]:
    """Note whether two kinds of trials differ within the sessions."""
    first, second = kinds.kinds
    n, floor = len(kinds.sessions), f"floor {kinds.floor:.2g}"
    over = f"{column}: in these {n} sessions" if n > 1 else f"{column}: in this session"
    percent = 100 * (kinds.mean_ratio - 1)
    speed = f"{second} runs at {kinds.mean_ratio:.3f} of the speed of {first} ({percent:+.1f} %: a lower bound)"
    found = [
        Finding("kinds", "good", f"{over} speeds differ (p {kinds.p_speed:.3g}, {floor}): {speed}")
        if kinds.p_speed <= LEVEL
        else Finding("kinds", "note", f"{over} no difference in speed found (p {kinds.p_speed:.3g}, {floor})"),
        Finding("kinds", "good", f"{over} fields differ (p {kinds.p_field:.3g}, {floor})")
        if kinds.p_field <= LEVEL
        else Finding("kinds", "note", f"{over} no difference of the fields found (p {kinds.p_field:.3g}, {floor})"),
    ]
    if min(kinds.p_speed, kinds.p_field) <= LEVEL:
        found.append(Finding("kinds", "note", "trials were permuted: this is about these sessions, not about animals"))
    found += [Finding("session", "warning", f"{name} is not compared: {why}") for name, why in kinds.left_out.items()]
    return found


def note_alignment(alignment: Alignment) -> Finding:
    """Note whether sessions without labels are identified."""
    figures = (
        f"the others' field predicts {alignment.shared:.2f} of what a session's own does, the next best rotation "
        f"{alignment.lead:.2f} less, agreement of starts {alignment.agreement:.2f}"
    )
    if alignment.accepted:
        return Finding("alignment", "good", f"sessions are aligned without labels ({figures})")
    if len(alignment.rotations) < LEAST_SESSIONS:
        return Finding(
            "alignment", "refused", f"{len(alignment.rotations)} sessions without labels: {LEAST_SESSIONS} are needed"
        )
    return Finding(
        "alignment",
        "refused",
        "not identified without labels (symmetry or nothing shared): name a column of trials "
        f"({figures}; {LEAST_SHARED}, {LEAST_LEAD} and {LEAST_AGREEMENT} are needed)",
    )
