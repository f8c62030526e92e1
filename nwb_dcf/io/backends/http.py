"""Requests to a server: patience where it may help, one clear line where it does not.

requests makes them, since it works in the thread that asks. fsspec has a thread of its own, and aiohttp below it others
for names of hosts. h5py holds its lock while it waits for what it reads: a garbage collection in such a thread that
meets an object of HDF5 waits for the lock, and both wait for ever.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import requests
import urllib3

from ...errors import SourceError
from .environment import read_number
from .timed_http import MIN_BYTES_PER_S, TooSlowError, open_session

TIMEOUT_S = 30.0
"""A request has failed after such a silence; NWB_DCF_TIMEOUT overrides it."""

WAITS_S = (0.3, 1.0, 3.0)
"""Pauses before a failed request is made again."""

MAX_RETRIES = 30
"""How often requests are made again while one file is read."""

MAX_JSON_BYTES = 4 * 2**20
MAX_REDIRECTS = 10

# Answers that may be others a second later.
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
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


@dataclass(frozen=True)
class RemoteFile:
    """What a server reports of a file.

    Attributes
    ----------
    url : str
        Where it is read from, redirections followed.
    size : int
        Bytes.
    version : str
        ETag or date, which differ between one content at this address and a later one; empty if the server has none.
    """

    url: str
    size: int
    version: str


class Connection:
    """Requests to one or more servers while one file is read.

    Parameters
    ----------
    where : str
        Names the file in errors.

    Attributes
    ----------
    fetched_bytes : int
        Of the file, so far.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.fetched_bytes = 0
        self._silence_s = read_number("NWB_DCF_TIMEOUT", TIMEOUT_S)
        self._retries_left = MAX_RETRIES
        self._session = open_session()
        self._session.max_redirects = MAX_REDIRECTS  # requests would follow thirty
        # What is counted and compared are the bytes that travel, so nothing may be packed.
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.hooks["response"].append(self._check_redirection)

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

        def check(response: requests.Response) -> None:
            if response.status_code == 206 and _parse_range(response) is not None:
                return
            if response.status_code == 416:
                raise self._refuse("the file on the server is empty", "check the address")
            if "html" in response.headers.get("Content-Type", ""):
                raise self._refuse("this is a web page, not a file", "give the address of the file itself")
            raise self._refuse(
                "the server sends whole files only (no byte ranges)", "download the file and fit the copy"
            )

        response, _ = self._ask(url, 1, check, headers={"Range": "bytes=0-0"})
        size = (_parse_range(response) or (0, 0, 0))[2]
        # Where redirection led to a signed address, which expires, every request is to be redirected anew.
        return RemoteFile(url if "?" in response.url else response.url, size, _version(response))

    def fetch(self, about: RemoteFile, start: int, stop: int) -> bytes:
        """Return the bytes `start` to `stop` of a file, `stop` excluded.

        Raises
        ------
        SourceError
            If the server does not send these, or the file is no longer what it was when it was probed.
        """

        def check(response: requests.Response) -> None:
            if response.status_code != 206:
                raise self._refuse("the server stopped to send parts of the file", "try again")
            sent = _parse_range(response)
            # Parts of two versions of a file would be mixed without any error.
            if _version(response) != about.version or (sent is not None and sent[2] != about.size):
                raise self._refuse("the file changed on the server while it was read", "try again")
            if sent is None or sent[:2] != (start, stop - 1):
                raise self._refuse("the server sends another part than was asked for", "download the file")

        headers = {"Range": f"bytes={start}-{stop - 1}"}
        _, data = self._ask(about.url, stop - start, check, headers=headers, whole=True)
        self.fetched_bytes += len(data)
        return data

    def get_json(self, url: str, params: Mapping[str, str] | None = None, *, missing: str) -> Mapping[str, object]:
        """Return the JSON object at `url`.

        Raises
        ------
        SourceError
            If there is none; `missing` is the message for a 404.
        """
        _, data = self._ask(url, MAX_JSON_BYTES, lambda response: None, params=params, missing=missing)
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise self._refuse(f"{_host(url)} did not answer with an object of JSON", "check NWB_DCF_DANDI_API")
        return document

    def _check_redirection(self, response: requests.Response, **_: Any) -> None:
        # requests reads the content of a redirection to its end, however long, before it goes on.
        if response.is_redirect:
            self._read(response, MAX_JSON_BYTES)

    def _ask(
        self,
        url: str,
        limit: int,
        check: Callable[[requests.Response], None],
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        missing: str = "",
        whole: bool = False,
    ) -> tuple[requests.Response, bytes]:
        """Return the answer of a server and its content of at most `limit` bytes, or exactly so many if `whole`.

        The headers of an answer pass `check` before its content is read.
        """
        # urllib3 repeats requests too, but not those whose content broke off, and has no bound for all of a session.
        for wait_s in (*WAITS_S, None):
            may_repeat = wait_s is not None and self._retries_left > 0
            try:
                with self._session.get(
                    url, timeout=self._silence_s, stream=True, headers=headers, params=params
                ) as response:
                    status = response.status_code
                    if status < 400 or status == 416:
                        check(response)
                        return response, self._read(response, limit, whole=whole)
                    if status not in _BUSY or not may_repeat:
                        raise self._explain_status(response, missing)
            except _FAILED as error:
                if _has_cause(error, *_SILENT) or not may_repeat:
                    raise self._explain(error, _host(url)) from error  # waiting again would take as long again
            except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
                raise self._refuse(f"this address cannot be asked ({error})", "check it") from error
            self._retries_left -= 1
            time.sleep(wait_s or 0.0)
        raise AssertionError("unreachable")

    def _read(self, response: requests.Response, limit: int, *, whole: bool = False) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise self._refuse("the server compresses what it sends", "download the file and fit the copy")
        # One byte more than was asked for shows that there is more, whatever the headers claim.
        data = bytearray()
        while piece := response.raw.read(limit + 1 - len(data), decode_content=False):
            data += piece
            if len(data) > limit:
                raise self._refuse("the server sends more than was asked for", "download the file")
        if whole and len(data) < limit:
            raise requests.ConnectionError(f"{len(data)} of {limit} bytes came")
        return bytes(data)

    def _explain_status(self, response: requests.Response, missing: str) -> SourceError:
        status = response.status_code
        if status == 404 and missing:
            return self._refuse(missing, "check the address")
        what, fix = _REASONS.get(status, (f"the server answers {status} {response.reason}", "try again later"))
        return self._refuse(what, fix)

    def _explain(self, error: Exception, host: str) -> SourceError:
        if isinstance(error, requests.TooManyRedirects):
            return self._refuse(f"{host} redirects without end", "check the address")
        if _has_cause(error, TooSlowError):
            what = f"{host} sends too slowly, below {MIN_BYTES_PER_S / 1000:g} kB in a second"
            return self._refuse(what, "try again later, or download the file")
        if _has_cause(error, *_SILENT):
            what = f"{host} did not answer within {self._silence_s:g} s"
            return self._refuse(what, "try again later, or set NWB_DCF_TIMEOUT to more seconds")
        return self._refuse(_describe_break(error, host), "check the address and the network")

    def _refuse(self, what: str, fix: str) -> SourceError:
        return SourceError(what, where=self.where, fix=fix)


# requests passes on what urllib3 raises while content is read.
_FAILED = (
    requests.ConnectionError,
    requests.Timeout,
    requests.TooManyRedirects,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
)


_SILENT = (TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError)


def _has_cause(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Whether an error is, or came of, one of `kinds`."""
    while error is not None:
        held = [argument for argument in error.args if isinstance(argument, BaseException)]
        reason = getattr(error, "reason", None)  # urllib3's, of all that it tried
        if isinstance(error, kinds) or any(_has_cause(one, *kinds) for one in [*held, reason] if one is not error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _describe_break(error: Exception, host: str) -> str:
    # urllib3 keeps the system's error as text alone.
    text = str(error)
    if "resolve" in text or "getaddrinfo" in text or "Name or service" in text:
        return f"there is no server {host}"
    if "refused" in text:
        return f"{host} refuses connections"
    if isinstance(error, requests.exceptions.SSLError):
        return f"the certificate of {host} cannot be trusted"
    return f"the connection to {host} broke off"


def _parse_range(response: requests.Response) -> tuple[int, int, int] | None:
    """First and last byte that an answer holds, and the size of the file; None if it does not tell."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def _version(response: requests.Response) -> str:
    return response.headers.get("ETag") or response.headers.get("Last-Modified") or ""


def _host(url: str) -> str:
    # An address may hold a password, which stays out of errors.
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]
