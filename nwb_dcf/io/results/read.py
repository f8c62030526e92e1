"""Find, list and read the fits of a file, by h5py or zarr alone: neither torch nor pynwb is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import h5py
import numpy as np

from ...data.certificate import CertificateLine, choose_best
from ...data.fit_documents import read_document
from ...data.result import DCFResult
from ...data.stored_json import StoredJSONError
from ...errors import DCFError, StoreError, shorten
from ..special_files import name_special
from .atomic import restore_folder
from .atomic_folder import open_folder
from .clean_process import explain_failure
from .fit_hashes import KEY, find_altered, hash_parts
from .fit_layout import check_layout, check_values
from .payload import FIELD, PARTS, FitAttributes, Payload, to_result
from .scripts.items import is_group, read_attribute, read_text, read_values
from .scripts.references import find_leading_to
from .staleness import SourceCheck

if TYPE_CHECKING:
    from jaxtyping import Shaped

MODULE = "processing/dcf"
NAMESPACE = "ndx-dcf"
TYPE = "DynamicCompressionFlow"
SCHEMA_VERSION = "1.2.0"
_MALFORMED = (
    KeyError, ValueError, TypeError, AttributeError, IndexError, OSError, RuntimeError, MemoryError, OverflowError,
)  # fmt: skip
_SKIPPED = ("units", "source_units", "source_series", "sources")  # the provenance names them too
_TEXTS = ("config", "provenance", "summary")
LONGEST_REASON = 300


class ListedFit(TypedDict):
    """What is listed of a stored fit; see `list_results`."""

    name: str
    kind: str
    dim: int
    k_eff: int
    source: str | None
    created: str | None
    schema_version: str
    stale: bool | None
    stale_because: str | None
    altered: list[str] | None
    certificate: dict[str, str]
    best: bool
    unreadable: str | None


def list_results(path: str | Path) -> list[ListedFit]:
    """List the fits in an NWB file.

    Parameters
    ----------
    path : str or Path
        The NWB file.

    Returns
    -------
    list of dict
        For each fit ``name``, ``kind``, ``dim``, ``k_eff``, ``source`` (path of the source object in the file),
        ``created`` (ISO time), ``schema_version``, ``stale`` (whether the source has changed since, None where that
        cannot be known), ``stale_because``, ``altered`` (names of the parts of the fit itself that are not what was
        written, None for fits from before they were hashed), ``certificate`` (verdict by line, empty for fits without
        one), ``best`` (whether no other fit has as good a certificate, see `choose_best`) and ``unreadable`` (why the
        fit cannot be read, with nothing else known of it but its name; None for the others); JSON-able, sorted by
        name. Each source is hashed once.

    Raises
    ------
    StoreError
        If the file cannot be opened, or no fit in it can be read.
    """
    with open_nwb(path) as file:
        # One check for all fits: sources that they have in common are hashed once.
        fits: list[ListedFit] = []
        certificates: dict[str, list[CertificateLine]] = {}
        try:
            check, names = SourceCheck(file), find_fits(file)
        except _MALFORMED as error:
            fix = "the file is damaged: copy it again, or restore a backup"
            what = f"its identifier or its list of fits cannot be read: {error}"
            raise StoreError(what, where=str(path), fix=fix) from error
        for name in names:
            try:
                fit, certificates[name] = _describe_fit(_open_fit(file, name), name, check)
            except _MALFORMED as error:
                # one that is damaged keeps nobody from the others
                if len(names) == 1:
                    raise _explain_malformed(error, path, name) from error
                fit = _describe_unreadable(name, error)
            fits.append(fit)
        if fits and not certificates:
            raise StoreError(f"no fit can be read ({fits[0]['unreadable']})", where=str(path), fix="fit again")
        best = choose_best(certificates)
        return [{**fit, "best": fit["name"] == best} for fit in fits]


def read_result(path: str | Path, name: str | None = None) -> DCFResult:
    """Read a stored fit.

    Parameters
    ----------
    path : str or Path
        The NWB file.
    name : str, optional
        Name of the fit in ``processing/dcf``; needed only where there are several.

    Returns
    -------
    DCFResult
        The fit as it was written; see `nwb_dcf.DCFResult` for its variables. Values of ``dataset.attrs`` that
        were NaN are None.

    Raises
    ------
    StoreError
        If there is no such fit, there are several and none is named, or its schema is newer than this package.
    """
    with open_nwb(path) as file:
        names = find_fits(file)
        if name is None and len(names) == 1:
            name = names[0]
        if name is None or name not in names:
            has = f"its fits are {', '.join(names)}" if names else "it holds no fit"
            what = "several fits and no name" if name is None and names else f"no fit {name!r}" if name else "no fit"
            fix = "name one of them" if names else "make one with nwb_dcf.fit_nwb or `nwb-dcf fit`"
            raise StoreError(f"{what}: {has}" if names else what, where=f"{path}: /{MODULE}", fix=fix)
        refuse_newer_schema(file, path)
        try:
            return to_result(_read_payload(_open_fit(file, name)), name=name)
        except _MALFORMED as error:
            raise _explain_malformed(error, path, name) from error


def split_address(address: str | Path) -> tuple[str, str | None]:
    """Split ``FILE#NAME``, where NAME may be left out, into a file and the name of a fit in it.

    Examples
    --------
    >>> split_address("session.nwb#units_dim3"), split_address("session.nwb")
    (('session.nwb', 'units_dim3'), ('session.nwb', None))
    """
    # A file may have "#" in its name, so the whole address is tried as one.
    text = str(address)
    file, mark, name = text.rpartition("#")
    return (file, name) if mark and not Path(text).exists() else (text, None)


def find_changes(path: str | Path, provenance: Mapping[str, Any]) -> tuple[bool | None, str | None]:
    """Say whether the source that a fit's `provenance` names has changed in the file at `path`, and what.

    Returns
    -------
    stale : bool or None
        None where that cannot be known.
    why : str or None
    """
    with open_nwb(path) as file:
        return SourceCheck(file).find_changes(provenance)


def open_nwb(path: str | Path) -> Any:
    """Open `path` for reading: an HDF5 file, or a folder of Zarr.

    A file is opened under HDF5's shared lock: no other program can open it for writing meanwhile.

    Returns
    -------
    h5py.File or zarr.Group

    Raises
    ------
    StoreError
        If the file is absent, neither HDF5 nor Zarr, not NWB 2, or open for writing elsewhere.
    """
    if "://" in str(path):
        what, fix = (
            "stored fits are read on this machine alone",
            "see their names with nwb-dcf info, or download the file",
        )
        raise StoreError(what, where=str(path).partition("?")[0], fix=fix)
    path = Path(path)
    restore_folder(path)  # a killed write may have set a folder of Zarr aside
    if path.is_dir():
        return _require_nwb2(open_folder(path), path)
    refuse_special(path)
    if not path.is_file():
        raise StoreError("no such file", where=str(path), fix="check the path")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if "signature not found" in str(error) or "truncated" in str(error):
            what = "not an HDF5 file" if "signature" in str(error) else "a truncated HDF5 file"
            raise StoreError(what, where=str(path), fix="give a whole NWB file (.nwb)") from error
        raise explain_failure(str(error), error.errno, where=str(path)) from error
    return _require_nwb2(file, path)


def refuse_special(path: Path, what: str = "this") -> None:
    """Raise if `path` is a pipe, a socket or a device.

    Raises
    ------
    StoreError
        That names the kind.
    """
    if kind := name_special(path):
        raise StoreError(f"{what} is {kind}", where=str(path), fix="give a file")


def _require_nwb2(file: Any, path: Path) -> Any:
    if not str(read_attribute(file, "nwb_version")).removeprefix("NWB-").startswith("2"):
        (file.close if hasattr(file, "close") else file.store.close)()
        raise StoreError("not an NWB 2 file", where=str(path), fix="convert it to NWB 2 first")
    return file


def find_fits(file: Any) -> list[str]:
    """Return the names of the fits in an open file, sorted; whatever else lies in ``processing/dcf`` is not ours."""
    group = file.get(MODULE)
    if not is_group(group):
        return []
    return sorted(name for name in group if is_fit(group[name]))


def is_fit(item: Any) -> bool:
    """Whether `item` is a container that this package wrote."""
    # Other extensions may have a type of that name.
    of_type, of_ours = read_attribute(item, "neurodata_type") == TYPE, read_attribute(item, "namespace") == NAMESPACE
    return bool(of_type and of_ours)


def refuse_references(file: Any, path: str | Path, name: str, *, fix: str = "remove that first") -> None:
    """Raise if something else in the file leads to the fit `name`: without it, or beside another, it would mislead.

    Raises
    ------
    StoreError
        That names what does.
    """
    # HDF5 would leave such a reference pointing at nothing, and a later fit may get its address.
    leading = find_leading_to(file, f"/{MODULE}/{name}")
    if leading:
        more = f" and {len(leading) - 1} more" if len(leading) > 1 else ""
        what = f"{leading[0]}{more} leads to the fit, and would lead to nothing or to something else"
        raise StoreError(what, where=f"{path}: /{MODULE}/{name}", fix=fix)


def refuse_newer_schema(file: Any, path: str | Path, *, also: Sequence[str] = ()) -> None:
    """Raise if the file holds fits, or containers named in `also`, of a schema that is not known yet.

    Raises
    ------
    StoreError
        If a fit or the cached specification is newer than `SCHEMA_VERSION`.
    """
    versions = [str(read_attribute(file[f"{MODULE}/{name}"], "schema_version")) for name in [*find_fits(file), *also]]
    # A file whose fits were removed still has the specification by which pynwb reads it.
    versions += list(file.get(f"specifications/{NAMESPACE}", {}))
    newest = max(versions, key=_parse_version, default=SCHEMA_VERSION)
    if _parse_version(newest) > _parse_version(SCHEMA_VERSION):
        raise StoreError(
            f"holds fits of {NAMESPACE} {newest}, and this nwb_dcf knows up to {SCHEMA_VERSION}",
            where=str(path),
            fix="upgrade nwb_dcf: pip install --upgrade nwb_dcf",
        )


def _open_fit(file: Any, name: str) -> Any:
    """Return the container of a fit, which lies in the file itself."""
    group = file[f"{MODULE}/{name}"]
    # An external link is followed without a word, into a file that others can change.
    if isinstance(file, h5py.File) and group.file.filename != file.filename:
        raise StoredJSONError("it is a link into another file")
    return group


def _describe_fit(group: Any, name: str, check: SourceCheck) -> tuple[ListedFit, list[CertificateLine]]:
    payload = _read_payload(group)
    scores = read_document(payload.texts["summary"], "summary").get("scores") or {}
    certificate: list[CertificateLine] = scores.get("certificate") or []
    provenance = read_document(payload.texts["provenance"], "provenance")
    stale, why = check.find_changes(provenance)
    listed: ListedFit = {
        "name": name,
        "kind": str(payload.attributes["kind"]),
        "dim": int(payload.attributes["dim"]),
        "k_eff": int(payload.attributes["k_eff"]),
        "source": (provenance.get("source") or {}).get("path"),
        "created": provenance.get("created"),
        "schema_version": str(read_attribute(group, "schema_version")),
        "stale": stale,
        "stale_because": why,
        "altered": find_altered(provenance.get(KEY), hash_parts(payload.arrays, payload.texts, payload.attributes)),
        "certificate": {one["line"]: one["verdict"] for one in certificate},
        "best": False,
        "unreadable": None,
    }
    return listed, certificate


def _describe_unreadable(name: str, error: Exception) -> ListedFit:
    return {
        "name": name, "kind": "", "dim": 0, "k_eff": 0, "source": None, "created": None, "schema_version": "",
        "stale": None, "stale_because": None, "altered": None, "certificate": {}, "best": False,
        "unreadable": _explain(error),
    }  # fmt: skip


def _explain(error: Exception) -> str:
    known = isinstance(error, (StoredJSONError, DCFError))
    return str(error) if known else f"{type(error).__name__}: {str(error)[:LONGEST_REASON]}"


def _explain_malformed(error: Exception, path: str | Path, name: str) -> StoreError:
    fix = "fit again with --overwrite"
    return StoreError(f"the fit cannot be read ({_explain(error)})", where=f"{path}: /{MODULE}/{name}", fix=fix)


def _read_payload(group: Any) -> Payload:
    """Read a fit once its layout has been checked, and check its documents and values.

    Raises
    ------
    StoredJSONError
        If it is not as this package writes it.
    """
    check_layout(group)  # before any array is read
    arrays: dict[str, Shaped[np.ndarray, "*_"]] = {}
    texts = {key: read_text(group, key) for key in _TEXTS}
    for name, item in group.items():
        if name in texts or name in _SKIPPED or item is None:
            continue
        if not is_group(item):
            arrays[name] = read_values(item)
        elif "data" in item:
            arrays |= {f"{name}/{part}": read_values(item[part]) for part in item}
            # A link of HDF5 is a member of its group, and one of hdmf-zarr is not.
            if not {"timestamps", "starting_time"} & set(item) and "latents/timestamps" in group:
                arrays[f"{name}/timestamps"] = read_values(group["latents/timestamps"])
            # NWB keeps the rate as an attribute of the starting time.
            if "starting_time" in item:
                arrays[f"{name}/rate"] = np.asarray(item["starting_time"].attrs["rate"])
        elif "colnames" in item.attrs:
            arrays |= {f"{name}/{column}": read_values(item[column]) for column in item.attrs["colnames"]}
        elif name in (*PARTS.values(), FIELD):
            arrays |= {f"{name}/{part}": read_values(item[part]) for part in item if part != "architecture"}
            if "architecture" in item:
                texts[f"{name}/architecture"] = read_text(item, "architecture")
    check_values(arrays)
    for name, text in texts.items():
        read_document(text, name)
    history = str(read_attribute(group[FIELD], "history")) if FIELD in group else ""
    kind, dim, k_eff = (read_attribute(group, key) for key in ("kind", "dim", "k_eff"))
    attributes = FitAttributes(kind=kind, dim=dim, k_eff=k_eff)
    _compare_attributes(attributes, arrays)
    return Payload(arrays, texts, attributes, history=history)


def _compare_attributes(attributes: FitAttributes, arrays: dict[str, Shaped[np.ndarray, "*_"]]) -> None:
    n_latents = arrays["latents/data"].shape[1]
    stored: dict[str, object] = {"dim": attributes["dim"], "k_eff": attributes["k_eff"]}
    for key, value in stored.items():
        if not isinstance(value, int | np.integer) or value < 0 or (key == "dim" and value != n_latents):
            raise StoredJSONError(f"the attribute {key} is {shorten(value)}, and the arrays have {n_latents} latents")
    attributes["kind"] = str(attributes["kind"])


def _parse_version(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
