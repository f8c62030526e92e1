"""Requests whose whole time is bounded, from the first byte of the headers to the last of the content.

The timeout of a socket bounds silence alone, and a server that sends a byte now and then is never silent. urllib3 takes
classes of connections from outside; those here give their sockets a deadline.
"""

from __future__ import annotations

import io
import socket
import time
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST_REQUEST_BYTES = 2 * 2**20

MIN_BYTES_PER_S = 20_000
"""A request may take twice the longest silence, and the time of the largest request at this rate."""


class TooSlowError(TimeoutError):
    """A server that is never silent, and does not come to an end."""


def open_session() -> requests.Session:
    """Return a session whose requests have a deadline, set by the timeout that each is given."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _TimedAdapter())
    return session


class _TimedSocket:
    """A socket whose reads end by a deadline, which begins anew when urllib3 sets the timeout of an answer."""

    def __init__(self, stored: socket.socket) -> None:
        self._stored = stored
        self.settimeout(stored.gettimeout())

    def settimeout(self, seconds: float | None) -> None:
        self._stored.settimeout(seconds)
        self.silence_s = seconds
        allowed = None if seconds is None else 2 * seconds + LARGEST_REQUEST_BYTES / MIN_BYTES_PER_S
        # urllib3 sets it before it reads each answer, also on a connection that is used again.
        self.deadline = None if allowed is None else time.monotonic() + allowed

    def makefile(self, mode: str = "r", *_: Any, **__: Any) -> io.BufferedReader:
        # http.client reads headers and content from here; unbuffered, it is the socket's own raw file.
        return io.BufferedReader(_TimedReader(self, self._stored))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stored, name)


class _TimedReader(io.RawIOBase):
    def __init__(self, timed: _TimedSocket, stored: socket.socket) -> None:
        super().__init__()
        self._timed = timed
        self._stored = stored
        # A socket counts its files: closed while an answer is still read from one, it stays open until that is closed.
        self._raw = stored.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self._timed.deadline is None or self._timed.silence_s is None:
            return self._raw.readinto(buffer)
        left_s = self._timed.deadline - time.monotonic()
        if left_s <= 0:
            raise TooSlowError
        self._stored.settimeout(min(left_s, self._timed.silence_s))
        try:
            return self._raw.readinto(buffer)
        except TimeoutError as error:  # of the rest of the whole time, or of silence
            if left_s < self._timed.silence_s:
                raise TooSlowError from error
            raise

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedHTTP(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        self.sock = _TimedSocket(self.sock)


class _TimedHTTPS(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        self.sock = _TimedSocket(self.sock)


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _TimedHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _TimedHTTPS


class _TimedAdapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}
