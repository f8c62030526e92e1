"""Where a session is: a path on this machine, or an address that is read over the network."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from ...errors import SourceError

SCHEMES = ("https", "http", "s3", "dandi")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+)://")  # two letters at least: C:// is a drive


@dataclass(frozen=True)
class Address:
    """The address of a session that is read over the network.

    Attributes
    ----------
    text : str
        As it was given.
    """

    text: str

    def __str__(self) -> str:
        # A query may hold the signature of a private file: it stays out of errors.
        return self.text if self.scheme == "dandi" else self.text.partition("?")[0]

    @property
    def scheme(self) -> str:
        """One of `SCHEMES`."""
        return urlsplit(self.text).scheme

    @property
    def name(self) -> str:
        """Name of the file, without its folders and without a query."""
        return unquote(str(self).rstrip("/").rpartition("/")[2])


Location = Path | Address


def locate(path: str | os.PathLike[str]) -> Location:
    """Tell a path from an address.

    Raises
    ------
    SourceError
        If the address is of a kind that cannot be read.

    Examples
    --------
    >>> locate("s3://bucket/sub-1/s.nwb").name
    's.nwb'
    """
    text = os.fspath(path)
    found = _SCHEME.match(text)
    if found is None:
        return Path(text)
    scheme = found[1].lower()
    if scheme == "file":
        return Path(unquote(urlsplit(text).path))
    if scheme not in SCHEMES:
        raise SourceError(
            f"addresses of the kind {scheme}:// cannot be read",
            where=text.partition("?")[0],
            fix="give a path, https://, s3://BUCKET/KEY or dandi://DANDISET/PATH",
        )
    try:
        urlsplit(text)
    except ValueError as error:
        raise SourceError(f"this is no address ({error})", where=text.partition("?")[0], fix="check it") from error
    # Schemes are alike in either case, keys of buckets are not.
    return Address(scheme + text[len(found[1]) :])


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is an address and not a path on this machine."""
    return isinstance(locate(path), Address)


def to_https(address: Address) -> str:
    """Return the https form of an ``s3://BUCKET/KEY`` of a public bucket; other addresses as they are.

    Raises
    ------
    SourceError
        If bucket or key is missing.

    Examples
    --------
    >>> to_https(Address("s3://dandiarchive/blobs/a b"))
    'https://dandiarchive.s3.amazonaws.com/blobs/a%20b'
    """
    if address.scheme != "s3":
        return address.text
    bucket, _, key = address.text.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise SourceError("an s3 address needs a bucket and a key", where=str(address), fix="write s3://BUCKET/KEY")
    if "." in bucket:  # no certificate of Amazon's covers a dot before .s3: the older form of address does
        return f"https://s3.amazonaws.com/{bucket}/{quote(key)}"
    return f"https://{bucket}.s3.amazonaws.com/{quote(key)}"
