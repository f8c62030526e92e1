"""A script for a clean process: make an NWB file of a session that is described elsewhere, with nothing in it yet."""

from __future__ import annotations

import datetime
from typing import Any

from pynwb import NWBHDF5IO, NWBFile
from pynwb.file import Subject

_TIMES = ("session_start_time", "timestamps_reference_time", "date_of_birth")


def run(request: dict[str, Any]) -> dict[str, str]:
    """Write the session ``request["session"]`` to ``request["copy"]`` under the new ``request["identifier"]``."""
    session = dict(request["session"])
    # The new file is another one: it names its source, and does not claim to be it.
    subject, origin = session.pop("subject"), (session.pop("file"), session.pop("identifier"))
    nwbfile = NWBFile(
        identifier=request["identifier"],
        source_script=f"results of nwb_dcf on {origin[0]} (identifier {origin[1]}), whose data are not repeated here",
        source_script_file_name="nwb_dcf",
        was_generated_by=[["nwb_dcf", request["version"]]],
        **_parse(session),
    )
    if subject is not None:
        nwbfile.subject = Subject(**_parse(subject))
    with NWBHDF5IO(request["copy"], "w") as io:
        io.write(nwbfile)
    return {}


def _parse(fields: dict[str, str]) -> dict[str, object]:
    # JSON has no dates, and pynwb takes no texts for them.
    times = {name: datetime.datetime.fromisoformat(fields[name]) for name in _TIMES if name in fields}
    return {**fields, **times}
