"""Write the latents of an analyzer into the NWB file of its session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..data.recording import select_segments
from ..data.records import Provenance, SourceRecord
from ..data.result import DCFResult
from ..errors import DataError, NotFittedError
from .clocks import find_clocks

if TYPE_CHECKING:
    from jaxtyping import Float64, Int, Shaped

    from ..io.results import WrittenResult


def to_nwb(
    analyzer: Any,
    path: str | Path,
    *,
    name: str | None = None,
    overwrite: bool = False,
    output: str | Path | None = None,
) -> WrittenResult:
    """Write the latents of an analyzer into the NWB file of that session, as `nwb_dcf.write_result` does.

    Units are matched by id (by the column ``unit_name`` where the file has one, as SpikeInterface and NeuroConv name
    them), and their spikes compared, so that latents never end up in another session's file or on another clock. The
    stored model then knows the units by the file's ids: it can be applied to recordings read from the file.

    Parameters
    ----------
    analyzer : spikeinterface.SortingAnalyzer
        With ``dcf_latents`` computed.
    path : str or Path
        NWB file with a units table. It may hold more units.
    name, overwrite, output
        See `nwb_dcf.write_result`.

    Returns
    -------
    WrittenResult

    Raises
    ------
    NotFittedError
        If there are no latents.
    DataError
        If segments overlap in time, a unit is not in the file, or its spikes are others there; nothing is written.
    StoreError
        If the file cannot be written.
    """
    extension = analyzer.get_extension("dcf_latents")
    if extension is None:
        raise NotFittedError("the analyzer has no latents", fix='call analyzer.compute("dcf_latents") first')
    result: DCFResult = extension.get_data(outputs="result")
    where = str(analyzer.folder) if analyzer.folder else "SortingAnalyzer"
    # before the file is opened: what the analyzer alone shows to be wrong
    order = _order_segments(result, where)
    from ..io.recordings import match_units
    from ..io.results import write_result

    unit_ids = result.dataset["unit"].values
    source, nwb_ids = match_units(path, unit_ids.tolist(), _read_spikes(analyzer, result, where))
    about = result.provenance["source"]
    dataset = select_segments(result.dataset, order).assign_coords(unit=nwb_ids)
    provenance: Provenance = {
        **result.provenance,
        "source": cast("SourceRecord", source),
        "sorting": {**about, "unit_ids": unit_ids.tolist()},
    }
    # the model inside the weights names its units too, and is matched by those names later
    moved = replace(result, dataset=dataset, provenance=provenance, weights=_rename_channels(result.weights, nwb_ids))
    return write_result(moved, path, name=name, overwrite=overwrite, output=output)


def _order_segments(result: DCFResult, where: str) -> Int[np.ndarray, " segment"]:
    """Return the order of segments in time; those that overlap are refused, as a file has one clock."""
    start, stop = (result.dataset[f"segment_{end}"].values for end in ("start", "stop"))
    # segments of an analyzer come in any order, and frames in a file in that of time
    order = np.argsort(start, kind="stable")
    # times that touch but for rounding are in order
    late = np.flatnonzero(start[order][1:] < stop[order][:-1] - 1e-6)
    if len(late):
        a, b = (int(result.dataset["trial_si_segment"].values[order[late[0] + i]]) for i in (0, 1))
        raise DataError(
            f"segments {a} and {b} overlap in time ({start[order[late[0] + 1]]:.6g} s is before "
            f"{stop[order[late[0]]]:.6g} s), and the file has one clock",
            where=where,
            fix="place them with recording.shift_times(seconds, segment_index=...) and compute again",
        )
    return order


def _read_spikes(analyzer: Any, result: DCFResult, where: str) -> list[Float64[np.ndarray, " spike"]]:
    """Return the spike times of each fitted unit over all segments, on the clock of the latents."""
    stored = result.provenance["source"]["segments"]
    lost = not (analyzer.has_recording() or analyzer.has_temporary_recording())
    clocks = find_clocks(
        analyzer.sorting,
        None if lost else analyzer.recording,
        where=where,
        n_samples=analyzer.rec_attributes["num_samples"],
        stored=stored,
    )
    for i, (now, then) in enumerate(zip(clocks, stored, strict=True)):
        # half a sample, as where clocks are found
        if abs(now.start_s - then["start_s"]) > 0.5 / now.rate_hz:
            raise DataError(
                f"segment {i} started at {then['start_s']:.6g} s when the latents were computed, "
                f"and starts at {now.start_s:.6g} s now",
                where=where,
                fix='compute("dcf_latents") again',
            )
    sorting = analyzer.sorting
    return [
        np.sort(
            np.concatenate(
                [c.compute_times(sorting.get_unit_spike_train(unit, segment_index=i)) for i, c in enumerate(clocks)]
            )
        )
        for unit in result.dataset["unit"].values
    ]


def _rename_channels(weights: bytes, ids: Shaped[np.ndarray, " unit"]) -> bytes:
    from ..estimator.serialization import pack_weights, unpack_weights

    return pack_weights(replace(unpack_weights(weights, "cpu"), channels=ids.tolist()))
