"""Bands of the latents as bouts of ndx-ethogram, and outlier frames as events: for programs that read behaviour."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.outliers import compute_spacing
from ..data.result import DCFResult
from ..errors import StoreError
from ..metrics.clusters import N_BANDS, find_clusters, pick_outliers

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from pynwb.event import EventsTable

N_OUTLIERS = 6  # of each kind, as many as the pictures show


def make_bouts(result: DCFResult, *, n_bands: int = N_BANDS, shortest_s: float = 0.0, name: str = "dcf_bands") -> Any:
    """Sort the latents into bands and return each uninterrupted visit to a band as a bout.

    Parameters
    ----------
    result : DCFResult
    n_bands : int
        K-means returns as many as it is asked for: their number is no finding, and a band is no behaviour before
        somebody has looked at its frames.
    shortest_s : float
        Visits that last less are left out, seconds.
    name : str
        Of the table.

    Returns
    -------
    ndx_ethogram.EthogramBouts
        To be added to a processing module; ``label`` is ``band 1``, ``band 2``, ..., in the order of the first latent.

    Raises
    ------
    StoreError
        If ndx-ethogram is not installed.
    DataError
        If there are fewer than ten frames for each band.
    """
    try:
        from ndx_ethogram import EthogramBouts
    except ImportError as error:
        raise StoreError("bouts need ndx-ethogram", fix="pip install 'nwb-dcf[ethogram]'") from error

    data = result.dataset
    clusters = find_clusters(data["latents"].values, n_bands)
    table = EthogramBouts(
        name=name,
        description=f"Visits of the latents of the fit {result.name!r} to {n_bands} clusters by k-means. The number of "
        "clusters was asked for; they are places in the latent space, which nobody has named.",
        labeling_method="automated",
        source_software=f"nwb_dcf {result.provenance.get('versions', {}).get('nwb_dcf', '')}".strip(),
        parameters=json.dumps({"fit": result.name, "n_bands": n_bands, "shortest_s": shortest_s}),
    )
    time, segment = data["time"].values, data["segment_index"].values
    for first, last, band in _find_visits(clusters.band, segment):
        start, stop = _bound(time, segment, first, last)
        if stop - start >= shortest_s:
            table.add_row(start_time=start, stop_time=stop, label=f"band {band + 1}")
    return table


def make_outlier_events(
    result: DCFResult, *, n_bands: int = N_BANDS, n_outliers: int = N_OUTLIERS, name: str = "dcf_outliers"
) -> EventsTable:
    """Return the frames that lie farthest from their band, and those where the latents move fastest, as events.

    Parameters
    ----------
    result : DCFResult
    n_bands : int
        Of the clusters from whose centres distance is measured.
    n_outliers : int
        Of each kind; those closer than a second, or than smoothing makes them alike, count once.
    name : str
        Of the table.

    Returns
    -------
    pynwb.event.EventsTable
        With the columns ``timestamp``, ``kind`` (``distance`` or ``speed``) and ``value``; for
        ``nwbfile.add_events_table``.

    Raises
    ------
    StoreError
        If pynwb is older than tables of events.
    DataError
        If there are fewer than ten frames for each band.
    """
    try:
        from pynwb.event import EventsTable
    except ImportError as error:
        raise StoreError("tables of events need NWB 2.10", fix="pip install -U pynwb") from error

    data = result.dataset
    time = data["time"].values
    kinds = {
        "distance": find_clusters(data["latents"].values, n_bands).distance,
        "speed": np.linalg.norm(data["velocity"].values, axis=1),
    }
    table = EventsTable(
        name=name,
        description=f"Frames of the fit {result.name!r} whose latents lie farthest from the centre of their cluster "
        "(value: in standard deviations of it) or move fastest (value: in 1/s). There are such frames in every "
        "recording; look at them before you name them.",
        source_description="k-means of latents of nwb_dcf",
    )
    table.add_column("kind", "What stands out: distance or speed")
    table.add_column("value", "How far from the centre of the cluster, or how fast")
    apart_s = compute_spacing(data, result.provenance)
    found = [
        (float(time[frame]), kind, float(values[frame]))
        for kind, values in kinds.items()
        for frame in pick_outliers(values, time, n_outliers, apart_s=apart_s)
    ]
    for timestamp, kind, value in sorted(found):
        table.add_row(timestamp=timestamp, kind=kind, value=value)
    return table


def _find_visits(band: Int[np.ndarray, " time"], segment: Int[np.ndarray, " time"]) -> list[tuple[int, int, int]]:
    """Return the first frame, the last frame and the band of every visit; no visit crosses into another segment."""
    changes: Bool[np.ndarray, " step"] = (np.diff(band) != 0) | (np.diff(segment) != 0)
    edges = np.concatenate([[0], np.flatnonzero(changes) + 1, [len(band)]])
    return [(int(a), int(b) - 1, int(band[a])) for a, b in zip(edges[:-1], edges[1:], strict=True) if b > a]


def _bound(
    time: Float[np.ndarray, " time"], segment: Int[np.ndarray, " time"], first: int, last: int
) -> tuple[float, float]:
    """Return start and stop of a run of frames: each frame lasts until halfway to its neighbour in the segment."""
    mine = time[segment == segment[first]]
    step = float(np.median(np.diff(mine))) if len(mine) > 1 else 0.0
    # not before the session began, where its first frame has the time 0
    start = max(0.0, time[first] - step / 2) if time[first] >= 0 else time[first] - step / 2
    return float(start), float(time[last] + step / 2)
