"""A script for a clean process: add a payload as a new fit to a copy of an NWB file.

It imports pynwb and the extension alone: whatever other extension were imported here, pynwb would write its
specification into the user's file.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import h5py
import numpy as np
from hdmf.common import DynamicTable, DynamicTableRegion, VectorData
from pynwb import NWBHDF5IO, H5DataIO, NWBFile, TimeSeries
from pynwb.epoch import TimeIntervals
from pynwb.misc import Units

from nwb_dcf.io.ndx import DynamicCompressionFlow, FlowField, LatentCoupling, LatentSeries, VelocityField

if TYPE_CHECKING:
    from jaxtyping import Shaped

MODULE = "dcf"
DESCRIPTION = "Dynamic Compression Flows: low-dimensional latents of this session, one container for each fit."


class Request(TypedDict):
    """Where a payload lies, and the copy of a file that it is added to; ``source_id`` is an object in it."""

    copy: str
    payload: str
    name: str
    source_id: str | None


class Document(TypedDict):
    """What an npz file cannot hold of a payload."""

    texts: dict[str, str]
    attributes: dict[str, str | int]
    units: dict[str, str]
    history: str
    docs: dict[str, str]


class _SparingIO(NWBHDF5IO):  # type: ignore[misc]
    """Leave the attributes that an object has already.

    pynwb sets those of every object in the file anew, and HDF5 does not take back the space of text: each fit in the
    file would cost the next one 2.6 kB, so that a hundredth fit takes 2.7 times the space of the first.
    """

    def set_attributes(self, obj: Any, attributes: dict[str, object]) -> None:
        new = {name: value for name, value in attributes.items() if _is_new(obj.attrs, name, value)}
        if new:
            super().set_attributes(obj, new)


def _is_new(attrs: h5py.AttributeManager, name: str, value: Any) -> bool:
    """Whether an attribute is not there yet, or is text or a number of another value; what else is there is kept."""
    if name not in attrs:
        return True
    stored = attrs[name]
    stored = stored.decode() if isinstance(stored, bytes) else stored
    return isinstance(value, (str, bool, int, float, np.number)) and not bool(np.all(stored == value))


def run(request: Request) -> dict[str, list[str]]:
    """Add ``request["payload"]`` to ``request["copy"]`` under ``request["name"]``; return what was linked."""
    name, copy = request["name"], request["copy"]
    with np.load(request["payload"], allow_pickle=False) as stored:
        document: Document = json.loads(str(stored["__document__"]))
        arrays = {key: stored[key] for key in stored.files if key != "__document__"}
    with ExitStack() as stack:
        io, options = _open_zarr(copy, name, stack) if os.path.isdir(copy) else (_open_hdf5(copy, name, stack), {})
        nwbfile = io.read()
        # By its id: the path that the fit knows may be that of a link.
        source = nwbfile.objects.get(request["source_id"])
        links = _link_source(source, arrays["channels"])
        flow = _build_flow(name, arrays, document, links)
        # An empty module is falsy, so it is asked for by name.
        if MODULE in nwbfile.processing:
            module = nwbfile.processing[MODULE]
        else:
            module = nwbfile.create_processing_module(MODULE, DESCRIPTION)
        module.add(flow)
        if options:  # of Zarr; in HDF5 pynwb adds the specifications that are new
            options["cache_spec"] = not _cache_new_specifications(io, copy)
        io.write(nwbfile, **options)
    return {"linked": sorted(links)}


def _open_hdf5(copy: str, name: str, stack: ExitStack) -> Any:
    with h5py.File(copy, "r+") as file:
        # pynwb cannot replace a container, so a fit that is overwritten goes first.
        if name in file.get(f"processing/{MODULE}", {}):
            del file[f"processing/{MODULE}/{name}"]
    return stack.enter_context(_SparingIO(copy, "r+"))


def _open_zarr(copy: str, name: str, stack: ExitStack) -> tuple[Any, dict[str, bool]]:
    from hdmf_zarr.nwb import NWBZarrIO

    backends = Path(__file__).resolve().parents[2] / "backends"
    restrict_pickles = runpy.run_path(str(backends / "restricted_pickle.py"))["restrict_pickles"]
    zarr_format = runpy.run_path(str(backends / "zarr_format.py"))
    stack.enter_context(restrict_pickles())
    shutil.rmtree(os.path.join(copy, "processing", MODULE, name), ignore_errors=True)
    if zarr_format["find_format"](Path(copy)) == 3:
        import zarr

        # Otherwise chunks of zeros are left out, and one that is lost later looks like them.
        stack.enter_context(zarr.config.set({"array.write_empty_chunks": True}))
    # Metadata that were consolidated and are not written anew would go on without the fit.
    consolidated = zarr_format["is_consolidated"](copy)
    zarr_format["drop_consolidated"](copy, f"processing/{MODULE}")
    return stack.enter_context(NWBZarrIO(copy, mode="r+")), {"consolidate_metadata": consolidated}


def _cache_new_specifications(io: Any, copy: str) -> bool:
    """Cache in a Zarr session what it does not have yet; False where it caches nothing at all.

    pynwb does just that in HDF5, but in Zarr it writes every specification again, and not as its author had it.
    """
    import zarr
    from hdmf.backends.utils import NamespaceToBuilderHelper
    from hdmf_zarr.utils import ZarrSpecWriter

    session = zarr.open_group(copy, mode="r+")
    place = session.attrs.get(".specloc")
    if not isinstance(place, str) or place not in session:
        return False
    catalog = io.manager.namespace_catalog
    for name in catalog.namespaces:
        version = f"{name}/{catalog.get_namespace(name).version}"
        if version not in session[place]:
            writer = ZarrSpecWriter(session[place].create_group(version))
            NamespaceToBuilderHelper.convert_namespace(catalog, name).export("namespace", writer=writer)
    return True


def _link_source(source: NWBFile | None, channels: Shaped[np.ndarray, " channel"]) -> dict[str, object]:
    if isinstance(source, Units):
        row_of = {int(unit): row for row, unit in enumerate(source.id[:])}
        links: dict[str, object] = {"source_units": source}
        if channels.dtype.kind in "iu" and all(int(unit) in row_of for unit in channels):
            rows = [row_of[int(unit)] for unit in channels]
            description = "units of the fit, in the order of the model"
            # A region names rows, while the fit knows units by their ids.
            links["units"] = DynamicTableRegion(name="units", data=rows, description=description, table=source)
        return links
    return {"source_series": source} if isinstance(source, TimeSeries) else {}


def _build_flow(
    name: str, arrays: dict[str, Shaped[np.ndarray, "*_"]], document: Document, links: dict[str, object]
) -> Any:
    docs = document["docs"]
    latents = _build_series("latents", arrays, document)
    others = [s for s in document["units"] if s != "latents"]
    return DynamicCompressionFlow(
        name=name,
        time_series=[latents, *(_build_series(s, arrays, document, clock=latents) for s in others)],
        segments=_build_table(TimeIntervals, "segments", "Intervals of the recording, such as trials.", arrays, docs),
        axes=_build_table(DynamicTable, "axes", "Latent axes in order of importance.", arrays, docs),
        training=_build_table(DynamicTable, "training", "Losses over training.", arrays, docs),
        loadings=arrays["loadings"],
        mean=arrays["mean"],
        channels=_to_writable(arrays["channels"]),
        coupling=_build_part(LatentCoupling, "coupling", arrays, document),
        compressive_flow=_build_part(FlowField, "compressive_flow", arrays, document, symbol="u"),
        dynamical_flow=_build_part(FlowField, "dynamical_flow", arrays, document, symbol="v"),
        **_build_optional(arrays, document),
        **{name: text for name, text in document["texts"].items() if "/" not in name},
        **document["attributes"],
        **links,
    )


def _build_series(
    name: str, arrays: dict[str, Shaped[np.ndarray, "*_"]], document: Document, clock: LatentSeries | None = None
) -> Any:
    if f"{name}/timestamps" in arrays:
        # The other series link to the timestamps of the latents instead of repeating them.
        time: dict[str, object] = {"timestamps": arrays[f"{name}/timestamps"] if clock is None else clock}
    else:
        time = {part: float(arrays[f"{name}/{part}"]) for part in ("starting_time", "rate")}
    return LatentSeries(
        name=name,
        # Bytes of equal significance beside each other compress better.
        data=H5DataIO(arrays[f"{name}/data"], compression="gzip", shuffle=True),
        unit=document["units"][name],
        description=document["docs"].get(name, name),
        **time,
    )


def _build_part(
    kind: Any, name: str, arrays: dict[str, Shaped[np.ndarray, "*_"]], document: Document, **attributes: str
) -> Any:
    weights = H5DataIO(arrays[f"{name}/weights"], compression="gzip", shuffle=True)
    return kind(name=name, architecture=document["texts"][f"{name}/architecture"], weights=weights, **attributes)


def _build_optional(arrays: dict[str, Shaped[np.ndarray, "*_"]], document: Document) -> dict[str, object]:
    """Build the velocity field and the tables of channels, verdicts and sources, which other results may lack."""
    docs = document["docs"]
    built: dict[str, object] = {}
    field = _find_under("velocity_field", arrays)
    if field:
        gridded = {n: H5DataIO(v, compression="gzip", shuffle=True) if v.ndim > 1 else v for n, v in field.items()}
        built["velocity_field"] = VelocityField(name="velocity_field", history=document["history"], **gridded)
    if _find_under("channel_table", arrays):
        what = "Channels of the fit and their part in each latent."
        built["channel_table"] = _build_table(DynamicTable, "channel_table", what, arrays, docs)
    if _find_under("certificate", arrays):
        what = "What may be believed of the fit, line by line."
        built["certificate"] = _build_table(DynamicTable, "certificate", what, arrays, docs)
    if _find_under("sources", arrays):
        built["sources"] = _build_table(DynamicTable, "sources", "Objects that were fitted.", arrays, docs)
    return built


def _find_under(name: str, arrays: dict[str, Shaped[np.ndarray, "*_"]]) -> dict[str, Shaped[np.ndarray, "*_"]]:
    return {path.partition("/")[2]: values for path, values in arrays.items() if path.startswith(f"{name}/")}


def _build_table(
    table: type[DynamicTable],
    name: str,
    description: str,
    arrays: dict[str, Shaped[np.ndarray, "*_"]],
    docs: dict[str, str],
) -> DynamicTable:
    vectors = [
        VectorData(name=column, description=docs.get(column, column.replace("_", " ")), data=_to_writable(values))
        for column, values in _find_under(name, arrays).items()
    ]
    return table(name=name, description=description, columns=vectors)


def _to_writable(values: Shaped[np.ndarray, "*_"]) -> Any:
    # h5py writes no arrays of dtype U; lists of str become texts of any length.
    return values.tolist() if values.dtype.kind == "U" else values
