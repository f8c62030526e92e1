"""Find the file behind ``dandi://DANDISET/PATH``, and the files of a dandiset, by the archive's REST API.

Its Python client would do it too, but brings 74 packages and 290 MB for these three questions.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from ...errors import SourceError
from .location import Address

if TYPE_CHECKING:
    from .http import Connection

API = "https://api.dandiarchive.org/api"
"""Of the archive; NWB_DCF_DANDI_API names another (EMBER, a sandbox)."""

_FORM = re.compile(r"^dandi://(?P<dandiset>\d{6})(?:@(?P<version>[^/]+))?/(?P<path>.+)$")
_FOLDER = re.compile(r"^dandi://(?P<dandiset>\d{6})(?:@(?P<version>[^/]+))?(?:/(?P<path>.*/)?)?$")
_SHOWN = 3
_PAGE_SIZE = 100
_MOST_PAGES = 1000


def find_asset(address: Address, connection: Connection) -> str:
    """Return the address of the bytes of a file in the archive.

    Parameters
    ----------
    address : Address
        ``dandi://DANDISET/PATH`` or ``dandi://DANDISET@VERSION/PATH``; without a version the latest published one is
        meant, or the draft where none is published.
    connection : Connection
        To ask with.

    Raises
    ------
    SourceError
        If there is no such dandiset, version or file, it is not public, or it is Zarr.
    """
    found = _FORM.match(address.text)
    where = str(address)
    if found is None:
        fix = "write dandi://000006/sub-1/sub-1.nwb, or dandi://000006@0.220126.1855/sub-1/sub-1.nwb"
        raise SourceError("this is no address in the DANDI archive", where=where, fix=fix)
    dandiset, path = found["dandiset"], unquote(found["path"])
    api = _find_api()
    version = found["version"] or _find_version(connection, api, dandiset)
    listing = connection.get_json(
        f"{api}/dandisets/{dandiset}/versions/{quote(version)}/assets/",
        {"path": path, "page_size": "25"},
        missing=f"the archive has no version {version} of dandiset {dandiset}",
    )
    found_assets = listing.get("results")
    assets = [asset for asset in found_assets if isinstance(asset, dict)] if isinstance(found_assets, list) else []
    # The archive lists every path that begins so.
    asset = next((asset for asset in assets if asset.get("path") == path), None)
    if asset is None:
        near = ", ".join(str(other.get("path")) for other in assets[:_SHOWN])
        fix = f"the archive has {near}" if near else f"see https://dandiarchive.org/dandiset/{dandiset}/{version}/files"
        raise SourceError(f"dandiset {dandiset} ({version}) has no file {path}", where=where, fix=fix)
    if asset.get("zarr"):
        fix = "download the folder (dandi download) and fit it there"
        raise SourceError("this file is Zarr, which is not read over the network", where=where, fix=fix)
    metadata = connection.get_json(
        f"{api}/assets/{quote(str(asset.get('asset_id')), safe='')}/",
        missing=f"the archive lists {path}, but does not have it",
    )
    # The archive's own address redirects to the other, which is signed and expires where a file is not public.
    addresses = metadata.get("contentUrl")
    urls = [url for url in addresses if isinstance(url, str)] if isinstance(addresses, list) else []
    direct = [url for url in urls if not url.startswith(api)]
    if not urls:
        raise SourceError(f"the archive gives no address for {path}", where=where, fix="try again later")
    return (direct or urls)[0]


def is_dandiset(address: Address) -> bool:
    """Whether an address names a dandiset or a folder in it, and not one file.

    Examples
    --------
    >>> is_dandiset(Address("dandi://000006")), is_dandiset(Address("dandi://000006/sub-1/s.nwb"))
    (True, False)
    """
    return _FOLDER.match(address.text) is not None


def list_assets(address: Address, connection: Connection) -> list[str]:
    """List the addresses of the NWB files of a dandiset, or of a folder in it, sorted.

    Parameters
    ----------
    address : Address
        ``dandi://DANDISET``, ``dandi://DANDISET@VERSION`` or either with ``/FOLDER/`` behind it.
    connection : Connection
        To ask with.

    Raises
    ------
    SourceError
        If there is no such dandiset or version, or it has no NWB file in HDF5 there.
    """
    found = _FOLDER.match(address.text)
    if found is None:
        raise SourceError(
            "this is no dandiset", where=str(address), fix="write dandi://000006 or dandi://000006/sub-1/"
        )
    dandiset, folder = found["dandiset"], unquote(found["path"] or "")
    api = _find_api()
    version = found["version"] or _find_version(connection, api, dandiset)
    url = f"{api}/dandisets/{dandiset}/versions/{quote(version)}/assets/"
    paths: list[str] = []
    for page in range(1, _MOST_PAGES + 1):
        asked = {"path": folder, "page_size": str(_PAGE_SIZE), "page": str(page)}
        listing = connection.get_json(
            url, asked, missing=f"the archive has no version {version} of dandiset {dandiset}"
        )
        results = listing.get("results")
        assets = [asset for asset in results if isinstance(asset, dict)] if isinstance(results, list) else []
        paths += [str(asset.get("path")) for asset in assets if not asset.get("zarr")]
        if not listing.get("next"):
            break
    # the version is written into every address, so that all files are of one state of the archive
    addresses = [f"dandi://{dandiset}@{version}/{quote(path)}" for path in sorted(set(paths)) if path.endswith(".nwb")]
    if not addresses:
        raise SourceError(
            f"dandiset {dandiset} ({version}) has no NWB file in HDF5 in {folder or 'it'}",
            where=str(address),
            fix=f"see https://dandiarchive.org/dandiset/{dandiset}/{version}/files",
        )
    return addresses


def _find_api() -> str:
    return (os.environ.get("NWB_DCF_DANDI_API") or API).rstrip("/")


def _find_version(connection: Connection, api: str, dandiset: str) -> str:
    about = connection.get_json(
        f"{api}/dandisets/{dandiset}/", missing=f"the archive has no dandiset {dandiset}, or none that is public"
    )
    published = about.get("most_recent_published_version")
    # A dandiset that was never published has its draft alone.
    return str((published if isinstance(published, dict) else {}).get("version") or "draft")
