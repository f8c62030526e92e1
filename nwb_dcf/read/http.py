"""Requests to a server: patience where it may help, one clear line where it does not."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from ..errors import SourceError

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
