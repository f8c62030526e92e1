"""Requests to a server: patience where it may help, one clear line where it does not."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ...errors import SourceError

TIMEOUT_S = 30.0
"""Without an answer for so long, a request has failed; NWB_DCF_TIMEOUT overrides it."""

WAITS_S = (0.3, 1.0, 3.0)
"""Pauses before a failed request is made again."""

_BUSY = {429, 500, 502, 503, 504}
_REASONS = {
    401: (
        "the server wants to know who asks (401)",
        "only public files are read: download it, or give a signed URL",
    ),
    403: ("the server refuses access (403)", "check that the file is public, and that a signed URL has not expired"),
    404: ("there is no such file on the server (404)", "check the address"),
    410: ("the file is gone from the server (410)", "check the address"),
}


@dataclass(frozen=True)
class RemoteFile:
    """What a server says of a file.

    Attributes
    ----------
    url : str
        Where it is read from, redirections followed.
    size : int
        Bytes.
    version : str
        Tells one content at this address from a later one; empty if the server does not.
    """

    url: str
    size: int
    version: str


class Connection:
    """Requests to one or more servers for one session; what remfile needs of ``requests.Session``.

    Parameters
    ----------
    where : str
        Names the file in errors.
    """

    def __init__(self, where: str) -> None:
        import requests

        self.where = where
        self.fetched_bytes = 0
        self._version = ""
        self._url = ""
        self._session = requests.Session()
        # A compressed answer would have other ranges.
        self._session.headers["Accept-Encoding"] = "identity"

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def probe(self, url: str) -> RemoteFile:
        """Ask for the first byte of `url`, to learn its size and whether parts of it can be had.

        Raises
        ------
        SourceError
            If not.
        """
        response = self._ask(url, headers={"Range": "bytes=0-0"}, stream=True)
        with response:
            size = response.headers.get("Content-Range", "").rpartition("/")[2]
            if response.status_code == 416:
                raise self._refuse("the file on the server is empty", "check the address")
            if response.status_code != 206 or not size.isdigit():
                if "html" in response.headers.get("Content-Type", ""):
                    raise self._refuse("this is a web page, not a file", "give the address of the file itself")
                raise self._refuse(
                    "the server sends whole files only (no byte ranges)", "download the file and fit the copy"
                )
            self._version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            # Where redirection led to a signed address, which expires, every request is to be redirected anew.
            self._url = url if "?" in response.url else response.url
        return RemoteFile(self._url, int(size), self._version)

    def get(self, url: str, *, headers: dict[str, str]) -> Any:
        """Answer remfile's request for a range.

        Raises
        ------
        remfile's error that it does not try again after
            Caused by a SourceError that says what happened.
        """
        from remfile.RemFile import _PermanentHTTPError  # remfile would repeat for half a minute what has failed here

        try:
            response = self._ask(url, headers=headers)
            if response.status_code != 206:
                raise self._refuse("the server stopped to send parts of the file", "try again")
            version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            if version != self._version:
                raise self._refuse("the file changed on the server while it was read", "try again")
        except SourceError as error:
            raise _PermanentHTTPError(str(error)) from error
        self.fetched_bytes += len(response.content)
        return response

    def get_json(self, url: str, params: dict[str, str] | None = None, *, missing: str) -> Any:
        """Return the JSON document at `url`.

        Raises
        ------
        SourceError
            If there is none; `missing` says what a 404 means.
        """
        response = self._ask(url, params=params, missing=missing)
        try:
            return response.json()
        except ValueError as error:
            raise self._refuse(f"{_host(url)} did not answer in JSON", "check NWB_DCF_DANDI_API") from error

    def _ask(self, url: str, *, missing: str = "", **settings: Any) -> Any:
        import requests

        timeout_s = float(os.environ.get("NWB_DCF_TIMEOUT") or TIMEOUT_S)
        for wait_s in (*WAITS_S, None):
            try:
                response = self._session.get(url, timeout=timeout_s, **settings)
            except requests.Timeout as error:
                # Waiting again would take as long again.
                what = f"{_host(url)} did not answer within {timeout_s:g} s"
                raise self._refuse(what, "try again later, or set NWB_DCF_TIMEOUT to more seconds") from error
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
                if wait_s is None:
                    raise self._refuse(_explain(error, _host(url)), "check the address and the network") from error
            except (requests.RequestException, ValueError) as error:
                raise self._refuse(f"this address cannot be asked ({error})", "check it") from error
            else:
                status = response.status_code
                if status < 400 or status == 416:
                    return response
                if status not in _BUSY or wait_s is None:
                    raise self._explain_status(response, missing)
            time.sleep(wait_s)
        raise AssertionError("unreachable")

    def _explain_status(self, response: Any, missing: str) -> SourceError:
        status = response.status_code
        if status == 404 and missing:
            return self._refuse(missing, "check the address")
        what, fix = _REASONS.get(status, (f"the server answers {status} {response.reason}", "try again later"))
        return self._refuse(what, fix)

    def _refuse(self, what: str, fix: str) -> SourceError:
        return SourceError(what, where=self.where, fix=fix)


def _explain(error: Exception, host: str) -> str:
    text = str(error)
    if "resolve" in text or "getaddrinfo" in text or "Name or service" in text:
        return f"there is no server {host}"
    if "refused" in text:
        return f"{host} refuses connections"
    if "CERTIFICATE" in text.upper() or "SSL" in text:
        return f"the certificate of {host} cannot be trusted"
    return f"the connection to {host} broke off"


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]


LIMIT_BYTES = 10 * 10**9
"""Above this the files that were read longest ago go; NWB_DCF_CACHE_GB overrides it."""

_DIGEST_BYTES = 16


class ChunkCache:
    """Parts of one version of one remote file; what remfile asks of a cache.

    Parameters
    ----------
    folder : Path
        Its own folder, made on demand.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._grown = False

    def get(self, key: str) -> bytes | None:
        """Return what was kept under `key`, or None if nothing whole is there."""
        try:
            stored = self._path(key).read_bytes()
        except OSError:
            return None
        digest, value = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        return value if digest == _digest(value) else None

    def set(self, key: str, value: bytes) -> None:
        """Keep `value`; a full or read-only disk merely means that nothing is kept."""
        path = self._path(key)
        draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(_digest(value) + value)
            os.replace(draft, path)  # whole, whoever else reads or is killed
            self._grown = True
        except OSError:
            with suppress(OSError):
                draft.unlink()

    def prune(self) -> None:
        """Remove the files that were read longest ago, until the rest is below the limit."""
        if not self._grown:
            return
        with suppress(OSError):
            os.utime(self.folder)
        limit = float(os.environ.get("NWB_DCF_CACHE_GB") or LIMIT_BYTES / 1e9) * 1e9
        others = [folder for folder in self.folder.parent.iterdir() if folder.is_dir()]
        sizes = {folder: _size(folder) for folder in others}
        for folder in sorted(others, key=_last_use):
            if sum(sizes.values()) <= limit:
                break
            shutil.rmtree(folder, ignore_errors=True)
            del sizes[folder]

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / name[:2] / name[2:]


def find_cache(about: RemoteFile) -> ChunkCache | None:
    """Return the cache for a remote file, or None if none is wanted or the server does not tell versions apart.

    Notes
    -----
    ``NWB_DCF_CACHE`` names the folder of all caches; ``off`` keeps nothing.
    """
    wanted = os.environ.get("NWB_DCF_CACHE") or str(_default_folder())
    if wanted == "off" or not about.version:
        return None
    name = hashlib.sha256(f"{about.url} {about.size} {about.version}".encode()).hexdigest()[:32]
    return ChunkCache(Path(wanted) / name)


def _default_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("nwb-dcf", appauthor=False))


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=_DIGEST_BYTES).digest()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _last_use(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
