"""`Cohort`: many sessions in one ordered space, with one field of velocity and a coupling for each session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from ..data.recording import name_source
from ..data.summary import format_summary, format_summary_html
from ..errors import DataError, NotFittedError, ParameterError
from .anchors import Floats
from .behavior_bins import BehaviorBins
from .continuous import as_columns, couple_frames, fit_continuous, label_behavior
from .coupled_session import CoupledSession, SessionModel
from .coupling import WINDOW
from .findings import note_groups, note_trials
from .group_table import check_cover
from .groups import GroupComparison, compare_groups
from .labelled import Labels, couple_session, fit_labelled, prepare_session
from .labels import read_labels, refuse_other_width
from .matched import fit_matched
from .session_table import tabulate_sessions
from .sharing import SharingTest
from .unlabelled import CONDITION, fit_unlabelled
from .vector_field import SharedDynamics

CONDITIONS_SHOWN = 8


class Cohort:
    """Fit one latent space to many sessions whose trials have the same conditions.

    Parameters
    ----------
    dim : int
        Number of latents. No rule for choosing it from the data has held: compare the axes over sessions.
    window : int
        Bins on either side that a latent is read from.
    ridge : float, optional
        Penalty of the couplings in units of the inputs' mean variance; 3, and 10 up to 20 trials, by default.
    smooth_bins : float
        Standard deviation of the Gaussian over the values, in bins.
    n_permutations : int
        Permutations of the conditions for the test whether they differ in a common way.
    repeats : int
        Draws of trials and of sessions on which axes are compared.
    force : bool
        Fit sessions whose conditions do not differ in a common way; the result is marked ``unshared``.
    seed : int
        Of permutations and draws.

    Attributes
    ----------
    axes_ : SharedAxes
    conditions_ : list of str
    clock_ : TrialClock
    sessions_ : dict of str to CoupledSession
    field_ : QuadraticField
        The shared v, latent units per bin.
    sharing_ : SharingTest or None
        None with fewer than three conditions.
    dynamics_ : SharedDynamics or None
        None without labels.
    groups_ : GroupComparison or None
    findings_ : list of Finding
        One sentence each, with its figures.
    unshared_ : bool
        Whether it was fitted by force.

    Examples
    --------
    >>> from nwb_dcf.data.synthetic import simulate_cohort
    >>> animals = simulate_cohort(4, n_conditions=4, n_bins=12, trials_per_condition=(6, 8), seed=1)
    >>> recordings = {f"animal{i}": animal.recording for i, animal in enumerate(animals)}
    >>> cohort = Cohort(3, n_permutations=19, repeats=2).fit(recordings, "condition")
    >>> cohort.anchors.sizes["latent"]
    3
    """

    def __init__(
        self,
        dim: int = 3,
        *,
        window: int = WINDOW,
        ridge: float | None = None,
        smooth_bins: float = 1.0,
        n_permutations: int = 199,
        repeats: int = 10,
        force: bool = False,
        seed: int = 0,
    ) -> None:
        for name, value, low in (
            ("dim", dim, 1),
            ("window", window, 0),
            ("n_permutations", n_permutations, 19),
            ("seed", seed, 0),
        ):
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < low:
                raise ParameterError(f"{name} is {value!r}", fix=f"give a whole number, {low} or more")
        self.dim, self.window, self.ridge, self.smooth_bins = int(dim), int(window), ridge, smooth_bins
        self.n_permutations, self.repeats, self.force, self.seed = int(n_permutations), repeats, force, seed

    def fit(
        self,
        recordings: Mapping[str, xr.Dataset],
        labels: Labels | None,
        *,
        groups: Mapping[str, str] | None = None,
        animals: Mapping[str, str] | None = None,
        behavior: Mapping[str, ArrayLike] | None = None,
        behavior_name: str = "behavior",
        matched: bool = False,
    ) -> Self:
        """Find the shared space, couple every session, and test what they have in common.

        Parameters
        ----------
        recordings : mapping of str to xarray.Dataset
            Sessions by name; segments are trials that begin with the event. They are taken one at a time, so that a
            mapping which reads on access keeps memory small.
        labels : str, mapping of str to array, or None
            Column of trials that names the condition, or the labels of each session's segments. None aligns sessions by
            their dynamics, or refuses where these do not determine how (`nwb_dcf.cohort.unlabelled`).
        groups : mapping of str to str, optional
            Two groups, one for each session, to compare.
        animals : mapping of str to str, optional
            Animal of each session, where several sessions are of one; each session is one animal by default.
        behavior : mapping of str to array, shape (frame,) or (frame, variable), optional
            In place of labels: continuous behaviour at the frames of each session, whose bins are the anchors.
        behavior_name : str
            For labels and messages.
        matched : bool
            Without labels: channels of all recordings are the same cells in one order (`nwb_dcf.cohort.matched`).

        Returns
        -------
        Cohort

        Raises
        ------
        DataError
            If there is one session, no common condition, a session listed twice, bins differ, a session lacks most
            conditions, or conditions differ in no common way (unless forced).
        """
        names = list(recordings)
        if len(names) < 2:
            raise DataError(f"{len(names)} session makes no cohort", fix="give two or more")
        check_cover(names, groups, "group")
        check_cover(names, animals, "animal")
        # one generator for all sessions: the same draws in each would keep shuffled conditions matched
        rng = np.random.default_rng(self.seed)
        self.sharing_: SharingTest | None = None
        self.dynamics_: SharedDynamics | None = None
        self.groups_: GroupComparison | None = None
        self.bins_: BehaviorBins | None = None
        if behavior is not None:
            if labels is not None or groups is not None:
                raise ParameterError("bins of behaviour have neither labels nor groups", fix="give the behaviour alone")
            return self._fit_continuous(recordings, behavior, behavior_name, rng)
        if labels is None:
            return self._fit_unlabelled(recordings, groups, rng, matched=matched)
        found = fit_labelled(
            recordings, labels, self.dim, smooth_bins=self.smooth_bins, window=self.window, ridge=self.ridge, rng=rng,
            n_permutations=self.n_permutations, repeats=self.repeats, force=self.force,
        )  # fmt: skip
        self.conditions_, self.clock_, self.axes_, self.field_ = found.conditions, found.clock, found.axes, found.field
        self.axes_over_trials_, self.axes_over_sessions_ = found.over_trials, found.over_sessions
        self.sharing_, self.unshared_, self.dynamics_ = found.sharing, found.unshared, found.dynamics
        self.sessions_, self.findings_ = dict(found.sessions), list(found.findings)
        # sessions of one animal are not independent: groups are compared by animals
        self.animals_ = {name: (animals[name] if animals else name) for name in names}
        self.group_of_ = dict(groups) if groups else {}
        if groups is not None:
            means = np.stack([session.means for session in self.sessions_.values()])
            owners = [self.animals_[name] for name in names]
            self.groups_ = compare_groups(means, [groups[name] for name in names], owners, self.axes_.anchors, rng=rng)
            self.findings_ += note_groups(self.groups_)
        return self

    def _fit_unlabelled(
        self,
        recordings: Mapping[str, xr.Dataset],
        groups: Mapping[str, str] | None,
        rng: np.random.Generator,
        *,
        matched: bool,
    ) -> Self:
        if groups is not None:
            # aligned by their dynamics, groups that differ in them would be made alike or refused
            raise ParameterError("groups without labels cannot be compared", fix="name a column of trials")
        self.unshared_, self.axes_over_trials_, self.axes_over_sessions_ = False, None, None
        if matched:
            cells = fit_matched(
                recordings, self.dim, smooth_bins=self.smooth_bins, rng=rng, n_permutations=self.n_permutations,
                repeats=self.repeats, force=self.force,
            )  # fmt: skip
            found, self.sharing_, self.unshared_ = cells.fit, cells.sharing, cells.unshared
            self.axes_over_sessions_ = cells.over_sessions
        else:
            found = fit_unlabelled(recordings, self.dim, self.smooth_bins, rng)
        self.conditions_, self.clock_, self.axes_, self.field_ = [CONDITION], found.clock, found.axes, found.field
        self.findings_ = list(found.findings)
        # what labels alone can tell
        self.dynamics_, self.groups_ = None, None
        self.sessions_, self.animals_, self.group_of_ = {}, {name: name for name in recordings}, {}
        for i, (name, one) in enumerate(found.sessions.items()):
            channels = recordings[name][str(recordings[name]["data"].dims[1])].values
            in_axes = self.sharing_ is None or bool(self.sharing_.included[i])
            self.sessions_[name] = CoupledSession(
                one.preprocessor, one.coupling, channels, one.n_trials, np.ones(1, bool), in_axes, one.means
            )
        return self

    def _fit_continuous(
        self,
        recordings: Mapping[str, xr.Dataset],
        behavior: Mapping[str, ArrayLike],
        name: str,
        rng: np.random.Generator,
    ) -> Self:
        found = fit_continuous(
            recordings, {session: as_columns(behavior[session]) for session in recordings}, self.dim, name=name,
            smooth_bins=self.smooth_bins, rng=rng, window=self.window, n_permutations=self.n_permutations,
            repeats=self.repeats, force=self.force,
        )  # fmt: skip
        self.bins_, self.conditions_ = found.bins, found.bins.labels
        self.clock_, self.axes_, self.field_, self.sharing_ = found.clock, found.axes, found.field, found.sharing
        self.findings_, self.unshared_ = list(found.findings), found.unshared
        self.dynamics_, self.groups_ = None, None
        self.axes_over_trials_, self.axes_over_sessions_ = None, found.over_sessions
        self.sessions_, self.animals_, self.group_of_ = dict(found.sessions), {one: one for one in recordings}, {}
        return self

    def couple(
        self,
        recording: xr.Dataset,
        labels: str | ArrayLike | None,
        name: str | None = None,
        *,
        behavior: ArrayLike | None = None,
    ) -> CoupledSession:
        """Couple a new session; axes and field stay as they are.

        Parameters
        ----------
        recording : xarray.Dataset
        labels : str or array, shape (segment,), or None
        name : str, optional
            By which `transform` finds it; the recording's file and source by default.
        behavior : array, shape (frame,) or (frame, variable), optional
            In place of labels, where the anchors are bins of behaviour.

        Raises
        ------
        DataError
            If most conditions are missing, or the bins differ.
        """
        self._require_fit()
        name = name or name_source(recording) or f"session {len(self.sessions_) + 1}"
        if name in self.sessions_:
            raise ParameterError(f"session {name!r} is in the cohort", fix="give the new one another name")
        if self.conditions_ == [CONDITION]:
            fix = "fit all of them anew; of the same cells, nwb-dcf transform --match applies a session's coupling"
            raise DataError("this cohort has no labels: a new session cannot be coupled", fix=fix)
        refuse_other_width(recording, self.clock_, name)
        if self.bins_ is not None:
            if behavior is None:
                raise ParameterError("this cohort's anchors are bins of behaviour", where=name, fix="give behavior")
            labelled, prepared = label_behavior(recording, as_columns(behavior), self.bins_, self.clock_, name)
            session, _ = couple_frames(
                labelled, prepared, recording, self.axes_.anchors, window=self.window, in_axes=False
            )
            self.sessions_[name] = session
            return session
        if labels is None:
            raise ParameterError("labels are missing", where=name, fix="name the column of trials with the conditions")
        texts = read_labels(recording, labels)
        if not set(texts.tolist()) & set(self.conditions_):
            known, own = ", ".join(self.conditions_[:5]), ", ".join(sorted(set(texts.tolist()) - {""})[:5])
            raise DataError(f"no condition of the cohort: it has {own or 'none'}, the cohort {known}", where=name)
        frames, preprocessor = prepare_session(recording, texts, name, self.dim, self.conditions_, self.clock_)
        session, _ = couple_session(
            frames, preprocessor, recording, self.axes_.anchors, window=self.window, ridge=self.ridge, in_axes=False
        )
        self.sessions_[name] = session
        self.findings_ += note_trials({name: session.n_trials}, {name: session.seen}, self.conditions_)
        return session

    def transform(self, recording: xr.Dataset, name: str) -> xr.Dataset:
        """Read the latents of a coupled session, every frame of every segment.

        Returns
        -------
        xarray.Dataset
            ``latents`` (time, latent), of variance ``axes_.variance`` over the anchors, and ``velocity`` (time,
            latent), the shared v at each of them, per second; coordinates as in `recording`.

        Raises
        ------
        ParameterError
            If the session was never coupled.
        DataError
            If its units differ.
        """
        self._require_fit()
        if name not in self.sessions_:
            raise ParameterError(f"session {name!r} has no coupling", fix="couple it first")
        return SessionModel(self.sessions_[name], self.field_, self.clock_.bin_width_s).transform(recording)

    @property
    def anchors(self) -> xr.DataArray:
        """Position of each condition in the shared space, dims (condition, bin, latent); bins in seconds."""
        self._require_fit()
        return xr.DataArray(
            self.axes_.anchors,
            dims=("condition", "bin", "latent"),
            coords={"condition": self.conditions_, "bin": self._bin_times(), "latent": np.arange(1, self.dim + 1)},
            name="anchors",
        )

    @property
    def means(self) -> xr.DataArray:
        """Mean latents of each session, (session, condition, bin, latent); NaN where it has no trial."""
        return xr.DataArray(
            np.stack([session.means for session in self.sessions_.values()]),
            dims=("session", "condition", "bin", "latent"),
            coords={"session": list(self.sessions_), **self.anchors.coords},
            name="means",
        )

    @property
    def table(self) -> pd.DataFrame:
        """A row for each session: trials, conditions, units, p, R2 of its own v and of the v of the others."""
        self._require_fit()
        return tabulate_sessions(self.sessions_, self.animals_, self.group_of_, self.sharing_, self.dynamics_)

    def summary(self) -> str:
        """Return the cohort in a few lines: its sessions and conditions, and every finding."""
        return format_summary(self._list_facts())

    def __repr__(self) -> str:
        if not hasattr(self, "sessions_"):
            return f"<Cohort of {self.dim} latents, not fitted>"
        facts = self._list_facts()
        return f"<Cohort of {facts['cohort']}; conditions: {facts['conditions']}>"

    def _repr_html_(self) -> str:
        return format_summary_html(self._list_facts())

    def _list_facts(self) -> dict[str, str]:
        if not hasattr(self, "sessions_"):
            return {"cohort": f"{self.dim} latents, not fitted"}
        shown = ", ".join(self.conditions_[:CONDITIONS_SHOWN])
        rest = len(self.conditions_) - CONDITIONS_SHOWN
        trials = [session.n_trials for session in self.sessions_.values()]
        facts = {
            "cohort": f"{len(self.sessions_)} sessions in {self.dim} latents",
            "conditions": shown + (f" and {rest} more" if rest > 0 else ""),
            "trials": f"{min(trials)} to {max(trials)} a session",
        }
        # those of a cohort that comes from its file stay in the file
        for finding in getattr(self, "findings_", ()):
            sentence = f"{finding.severity}: {finding.sentence}"
            facts[finding.about] = f"{facts[finding.about]}; {sentence}" if finding.about in facts else sentence
        return facts

    def _bin_times(self) -> Floats:
        return np.asarray((np.arange(self.clock_.n_bins) + 0.5) * self.clock_.bin_width_s)

    def _require_fit(self) -> None:
        # set late in a fit, and by `from_record` too, whose cohort can couple and transform
        if not hasattr(self, "field_"):
            raise NotFittedError("this cohort is not fitted", fix="call fit first")
