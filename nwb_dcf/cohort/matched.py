"""A cohort of sessions that have cells in common, found by a column of their table: no condition is needed then.

The covariance of the common cells is averaged over sessions. Its leading axes, ordered by timescale, are the shared
space.
The test permutes the cells in each session: if their names mean something, cells that go together in one session do so
in the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..config import PrepareConfig
from ..data.channel_matching import ChannelInfo, name_channels_by
from ..data.preprocessing import fit_preprocessor
from ..errors import DataError
from .anchors import Floats, compute_condition_means
from .axes import SharedAxes, list_lags
from .coupling import Coupling
from .findings import LEAST_AXIS, Finding, note_sharing
from .labels import MISSING, choose_clock, refuse_copy
from .sharing import LEVEL, SharingTest
from .stability import LEAST_SESSIONS
from .unlabelled import LONGEST, UnlabelledFit, UnlabelledSession, find_timescales, prepare_unlabelled, split_trials
from .vector_field import find_paths, fit_field

if TYPE_CHECKING:
    from jaxtyping import Float

CellName = tuple[Any, ...]
LEAST_CELLS = 5  # in common: covariances of fewer have too few entries to test
UNTESTED = "whether dynamics are shared is not tested: cells are matched, and trials have no conditions"


@dataclass(frozen=True)
class MatchedFit:
    """Result of `fit_matched`.

    Attributes
    ----------
    fit : UnlabelledFit
    sharing : SharingTest
        Whether the covariance of the cells is alike in the sessions.
    over_sessions : array, shape (repeat, latent), or None
    unshared : bool
    """

    fit: UnlabelledFit
    sharing: SharingTest
    over_sessions: Float[np.ndarray, "repeat latent"] | None
    unshared: bool


def name_cells(table: ChannelInfo, columns: str, ids: Sequence[Any]) -> dict[Any, CellName]:
    """Return the names of the channels `ids` of a session; one without a name is left out.

    Raises
    ------
    ParameterError
        If there is no such column.
    DataError
        If two have one name.
    """
    by = tuple(part.strip() for part in columns.split(",") if part.strip())
    names = {
        i: name
        for i, name in name_channels_by(table, by).items()
        if i in set(ids) and not any(str(part).strip().lower() in MISSING for part in name)
    }
    twice = [name for name, n in Counter(names.values()).items() if n > 1]
    if twice:
        # either could be the others' cell
        listed = ", ".join(map(str, twice[0]))
        raise DataError(
            f"{sum(name == twice[0] for name in names.values())} {table.dim}s are called {listed}",
            where=table.where,
            fix="name columns that together name one each, as --match plane,roi_id",
        )
    return names


def find_common(names: Mapping[str, Mapping[Any, CellName]], match: str) -> list[CellName]:
    """Find the names that every session has, in order.

    Raises
    ------
    DataError
        If they are too few.
    """
    sets = {session: set(of.values()) for session, of in names.items()}
    common = set.intersection(*sets.values())
    if len(common) < LEAST_CELLS:
        fewest = min(sets, key=lambda session: len(sets[session]))
        raise DataError(
            f"{len(common)} cells are in every session, matched by {match}; {LEAST_CELLS} are needed",
            fix=f"match otherwise, or leave out the session with the fewest names ({fewest}, {len(sets[fewest])})",
        )
    return sorted(common, key=lambda name: tuple(map(str, name)))


def take_cells(recording: xr.Dataset, names: Mapping[Any, CellName], common: Sequence[CellName]) -> xr.Dataset:
    """Take the common cells of a recording, in their order; they keep their ids."""
    dim = str(recording["data"].dims[1])
    place = {names[i]: k for k, i in enumerate(recording[dim].values.tolist()) if i in names}
    taken = recording.isel({dim: [place[name] for name in common]})
    note = f"{len(common)} of {recording.sizes[dim]} {dim}s are in every session of the cohort"
    return taken.assign_attrs(notes=[*recording.attrs.get("notes", []), note])


def fit_matched(
    recordings: Mapping[str, xr.Dataset],
    dim: int,
    *,
    smooth_bins: float,
    rng: np.random.Generator,
    n_permutations: int = 199,
    repeats: int = 10,
    force: bool = False,
) -> MatchedFit:
    """Fit a shared space to sessions whose channels are the same cells, in one order.

    Parameters
    ----------
    recordings : mapping of str to xarray.Dataset
    dim : int
    smooth_bins : float
    rng : numpy.random.Generator
    n_permutations, repeats, force
        See `nwb_dcf.cohort.Cohort`.

    Raises
    ------
    DataError
        If numbers of cells differ, or their covariances are not alike (unless forced).
    """
    identifiers: dict[str, str] = {}
    widths = {name: int(recording["data"].shape[1]) for name, recording in recordings.items()}
    if len(set(widths.values())) > 1 or min(widths.values()) < max(LEAST_CELLS, dim + 1):
        listed = ", ".join(f"{name} {n}" for name, n in list(widths.items())[:4])
        raise DataError(f"numbers of cells differ or are too few: {listed}", fix="give the same cells of each session")
    clock = choose_clock(recordings, smooth_bins)
    lags = list_lags(min(clock.n_bins, LONGEST))
    prepared = {}
    for name, recording in recordings.items():
        refuse_copy(identifiers, recording, name)
        # each cell by its own deviation: how bright it is differs between sessions
        scale = fit_preprocessor(recording, PrepareConfig(smooth=clock.smooth_s, scale="zscore"))
        prepared[name] = prepare_unlabelled(recording, clock, scale)
    names = list(prepared)
    covariances = [np.cov(frames.values.T, bias=True) for frames, _ in prepared.values()]
    sharing = compare_covariances(covariances, n_permutations, rng)
    findings = note_sharing(sharing, names, of="permutations of cells", what=("cells", "go together"))
    if sharing.p > LEVEL and not force:
        raise DataError(
            f"cells of one name do not go together in a common way in these sessions (p {sharing.p:.3g}); no shared "
            "space was fitted",
            fix="look at their names; --force writes it with the mark 'unshared'",
        )
    kept = [one for one, there in zip(covariances, sharing.included, strict=True) if there]
    weights = _find_subspace(np.mean(kept, axis=0), dim)
    centres = {name: frames.values.mean(axis=0) for name, (frames, _) in prepared.items()}
    white = {name: (frames.values - centres[name]) @ weights for name, (frames, _) in prepared.items()}
    order, persistence = find_timescales(list(white.values()), [frames for frames, _ in prepared.values()], lags)
    full = weights @ order
    sessions, paths = {}, []
    for name, (frames, preprocessor) in prepared.items():
        coupling = Coupling(full[None], centres[name][None], np.zeros(dim), 0.0, np.ones(dim))
        latents = white[name] @ order
        means = compute_condition_means(frames.with_values(latents)).means
        sessions[name] = UnlabelledSession(preprocessor, coupling, means, frames.n_trials)
        paths.append(find_paths(split_trials(latents, frames)))
    mean = np.mean(kept, axis=0)
    # of each axis the fraction of the cells' variance that it explains
    loadings = mean @ full
    variance = np.square(loadings).sum(axis=0) / np.trace(mean)
    anchors = np.nanmean([session.means for session in sessions.values()], axis=0)
    over_sessions = _compare_halves(kept, dim, repeats, rng)
    findings.append(_note_space(over_sessions))
    findings.append(Finding("dynamics", "note", UNTESTED))
    fit = UnlabelledFit(clock, SharedAxes(anchors, variance, persistence), fit_field(paths), sessions, findings)
    return MatchedFit(fit, sharing, over_sessions, bool(sharing.p > LEVEL))


def compare_covariances(covariances: Sequence[Floats], n_permutations: int, rng: np.random.Generator) -> SharingTest:
    """Test whether covariances are alike: cells are permuted, in each session by itself."""
    n_cells = len(covariances[0])
    pairs = np.triu_indices(n_cells, 1)

    def standardise(covariance: Floats) -> Floats:
        values = covariance[pairs] - covariance[pairs].mean()
        return np.asarray(values / max(np.linalg.norm(values), 1e-12))

    rows = np.stack([standardise(one) for one in covariances])
    total = rows.sum(axis=0)
    own = (rows * (total - rows)).sum(axis=1)
    above, above_session = 1, np.ones(len(rows))
    for _ in range(n_permutations):
        permuted = []
        for one in covariances:
            order = rng.permutation(n_cells)
            permuted.append(standardise(one[order][:, order]))
        drawn = np.stack(permuted)
        above += float((drawn * (drawn.sum(axis=0) - drawn)).sum()) >= own.sum()
        above_session += (drawn * (total - rows)).sum(axis=1) >= own
    return SharingTest(
        p=above / (n_permutations + 1),
        p_session=above_session / (n_permutations + 1),
        floor=1 / (n_permutations + 1),
        floor_session=np.full(len(rows), 1 / (n_permutations + 1)),
        similarity=rows @ rows.T,
        n_permutations=n_permutations,
    )


def _note_space(over_sessions: Float[np.ndarray, "repeat latent"] | None) -> Finding:
    if over_sessions is None:
        return Finding("axes", "warning", f"fewer than {LEAST_SESSIONS} sessions: axes may turn with other sessions")
    least = float(over_sessions.mean(axis=0).min())
    figures = f"over disjoint sets of sessions (smallest canonical correlation {least:.2f})"
    if least < LEAST_AXIS:
        return Finding("axes", "warning", f"the shared space turns {figures}")
    return Finding("axes", "good", f"the shared space repeats {figures}")


def _find_subspace(covariance: Floats, dim: int) -> Floats:
    """Weights of the leading axes, with which latents are white over the cohort."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors[:, ::-1][:, :dim] / np.sqrt(np.maximum(values[::-1][:dim], 1e-12)))


def _compare_halves(
    covariances: Sequence[Floats], dim: int, repeats: int, rng: np.random.Generator
) -> Float[np.ndarray, "repeat latent"] | None:
    """Compare the subspaces of two disjoint halves of the sessions: canonical correlations, the largest first."""
    n = len(covariances)
    if n < LEAST_SESSIONS:
        return None
    mean, found = np.mean(covariances, axis=0), []
    for _ in range(repeats):
        order = rng.permutation(n)
        one, other = (
            _find_subspace(np.mean([covariances[i] for i in part], axis=0), dim)
            for part in (order[: n // 2], order[n // 2 :])
        )
        roots = [np.linalg.cholesky(weights.T @ mean @ weights) for weights in (one, other)]
        cross = np.linalg.solve(roots[0], one.T @ mean @ other) @ np.linalg.inv(roots[1]).T
        found.append(np.linalg.svd(cross, compute_uv=False))
    return np.array(found)
