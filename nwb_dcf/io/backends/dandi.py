"""Find the file behind ``dandi://DANDISET/PATH``, by the archive's REST API.

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
_SHOWN = 3


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
    api = (os.environ.get("NWB_DCF_DANDI_API") or API).rstrip("/")
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


def _find_version(connection: Connection, api: str, dandiset: str) -> str:
    about = connection.get_json(
        f"{api}/dandisets/{dandiset}/", missing=f"the archive has no dandiset {dandiset}, or none that is public"
    )
    published = about.get("most_recent_published_version")
    # A dandiset that was never published has its draft alone.
    return str((published if isinstance(published, dict) else {}).get("version") or "draft")
