"""The table of a cohort's sessions."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from .coupled_session import CoupledSession
from .sharing import SharingTest
from .vector_field import SharedDynamics


def tabulate_sessions(
    sessions: Mapping[str, CoupledSession],
    animals: Mapping[str, str],
    groups: Mapping[str, str],
    sharing: SharingTest | None,
    dynamics: SharedDynamics | None,
) -> pd.DataFrame:
    """Make a row for each session: trials, conditions, units, p, R2 of its own v and of the v of the others.

    Parameters
    ----------
    sessions : mapping of str to CoupledSession
        Those of the fit first, in the order of the tests, then those coupled later.
    animals, groups : mapping of str to str
    sharing, dynamics
        What was tested; None where it was not.
    """
    rows = []
    for i, (name, session) in enumerate(sessions.items()):
        # sessions coupled later stand behind those of the fit, and have no part in its tests
        tested = sharing is not None and i < len(sharing.p_session)
        described = dynamics is not None and i < len(dynamics.own)
        rows.append(
            {
                "session": name,
                "animal": animals.get(name, name),
                "group": groups.get(name, ""),
                "units": len(session.channels),
                "trials": session.n_trials,
                "conditions": int(session.seen.sum()),
                "in_axes": session.in_axes,
                "p": float(sharing.p_session[i]) if sharing is not None and tested else float("nan"),
                "own_r2": float(dynamics.own[i]) if dynamics is not None and described else float("nan"),
                "shared_r2": float(dynamics.shared[i]) if dynamics is not None and described else float("nan"),
            }
        )
    return pd.DataFrame(rows).set_index("session")
