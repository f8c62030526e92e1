"""The kind of a RoiResponseSeries: dF/F, fluorescence, or what is derived from it and is no activity of the cell.

NWB has one type for all of them. suite2p, CaImAn, minian, EXTRACT, the Allen Institute and NeuroConv tell them apart by
the name of the series or of its container, some by the description alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pynwb.ophys import DfOverF, Fluorescence

# Kinds by names, the first that fits. A correction for the neuropil or the baseline is fluorescence all the same.
CORRECTED = r"(corrected|subtracted|removed|decontaminated|free)"
RULES = (
    (rf"neuropil_?{CORRECTED}|{CORRECTED}.*neuropil|demix", "fluorescence"),
    (r"neuropil|npil|fneu|surround|background|annulus", "neuropil"),
    (r"deconv|spike|spks|event|oasis|cascade|firing", "deconvolved"),
    (r"df_?f|df_?over_?f|delta_?f", "dff"),
    (rf"baseline(?!_?{CORRECTED})|(^|_)f_?0(_|$)", "baseline"),
    (r"denois|smooth|filtered|zscore|z_score", "roi"),
    (r"(^|_)raw", "fluorescence"),
)
FIRST_WORDS = 6
"""Words of a description that count: later ones are about the use of the traces, not about their kind."""


def infer_roi_kind(path: str, series: Any, holders: Sequence[tuple[str, Any]] = ()) -> str:
    """Infer the kind of a RoiResponseSeries, one of `nwb_dcf.io.recordings.source_kinds.ROI_KINDS`.

    Its own name decides, then that of what it is in, then its description, then the type of its container.

    Parameters
    ----------
    path : str
        Path in the file.
    series : pynwb.ophys.RoiResponseSeries
    holders : sequence of (str, container)
        Paths and containers of traces in the file, one of which may hold the series by a link.
    """
    found = _infer(path, series, series.parent)
    if found != "roi":
        return found
    for place, holder in holders:
        if any(one is series for one in holder.roi_response_series.values()):
            found = _infer(f"{place}/{series.name}", series, holder)
            if found != "roi":
                return found
    return "roi"


def _infer(path: str, series: Any, container: Any) -> str:
    *outer, name = [part for part in path.split("/") if part]
    in_df = isinstance(container, DfOverF)
    found = _match(name)
    if found == "roi" and in_df:
        return "dff"
    for part in reversed(outer[1:]):
        if found:
            return found
        found = _match(part)
    description = str(series.description or "")
    found = found or _match("_".join(re.findall(r"[\w/]+", description)[:FIRST_WORDS]).replace("/", "_"))
    if found:
        return found
    if in_df:
        return "dff"
    return "fluorescence" if isinstance(container, Fluorescence) else "roi"


def list_emissions(series: Any) -> tuple[float, ...]:
    """List the wavelengths, nm, at which the plane of ROI responses was recorded; empty where they are unknown."""
    region = getattr(series, "rois", None)
    plane = getattr(getattr(region, "table", None), "imaging_plane", None)
    channels = getattr(plane, "optical_channel", None) or ()
    known = {float(one.emission_lambda) for one in channels if one.emission_lambda is not None}
    return tuple(sorted(value for value in known if value == value))  # NaN is not equal to itself


def _match(name: str) -> str:
    """Return the kind that a name stands for, or an empty string."""
    # Words of CamelCase are parted, so that "Raw" of RoiRawTraces and "raw" of roi_raw are one.
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace(" ", "_").replace("-", "_")
    return next((kind for rule, kind in RULES if re.search(rule, words)), "")
