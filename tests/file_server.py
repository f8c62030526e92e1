"""A server on 127.0.0.1 that serves ranges of files, fails in stated ways, and answers like the DANDI archive."""

from __future__ import annotations

import gc
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

FAULTS = (
    "missing", "forbidden", "reset", "reset-later", "whole", "whole-later", "slow", "page", "busy", "changing", "short",
    "growing", "shifted", "long", "endless", "trickle", "trickled-headers", "no-range", "no-size", "packed", "circle",
    "now-and-then", "long-circle", "sometimes",
)  # fmt: skip


@dataclass
class Served:
    """What a server was asked for.

    Attributes
    ----------
    url : str
        Of the root, without a slash at the end.
    sent_bytes, requests : int
        Of files, not of the archive's answers.
    """

    url: str
    folder: Path
    sent_bytes: int = 0
    requests: int = 0
    asked: list[str] = field(default_factory=list)


@contextmanager
def serve(folder: Path, *, slow_s: float = 5.0) -> Iterator[Served]:
    """Serve the files of `folder`.

    ``/FAULT/NAME`` serves the file NAME with one of `FAULTS`. Below ``/api`` it answers as an archive whose
    dandiset 000001 holds every file of the folder under ``sub-1/``, and ``sub-1/zarr.nwb.zarr``.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    served = Served(f"http://127.0.0.1:{server.server_port}", folder)
    server.served, server.slow_s = served, slow_s  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    # A client in this process holds h5py's lock while it waits; a garbage collection in a thread of the server that met
    # an object of HDF5 would wait for that lock.
    gc.collect()
    gc.disable()
    try:
        yield served
    finally:
        gc.enable()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *about: object) -> None:
        """Connections that were reset on purpose are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        served: Served = self.server.served  # type: ignore[attr-defined]
        address = urlsplit(self.path)
        served.asked.append(self.path)
        parts = [unquote(part) for part in address.path.strip("/").split("/")]
        if parts[0] == "api":
            return self._answer_archive(served, parts[1:], parse_qs(address.query))
        fault = parts[0] if parts[0] in FAULTS else ""
        path = served.folder.joinpath(*parts[1:] if fault else parts)
        served.requests += 1
        if fault == "missing" or not path.is_file():
            return self._send(404, b"nothing here", "text/plain")
        if fault == "forbidden":
            return self._send(403, b"<Error>AccessDenied</Error>", "application/xml")
        if fault == "reset" or (fault == "reset-later" and served.requests > 1):
            return self._reset()
        if fault == "slow":
            return time.sleep(self.server.slow_s)  # type: ignore[attr-defined]
        if fault == "page":
            return self._send(200, b"<html>a page</html>", "text/html")
        if fault == "busy" or (fault == "sometimes" and served.requests % 2):
            return self._send(503, b"later", "text/plain")
        if fault == "now-and-then" and served.requests % 2:
            return self._reset()
        if fault == "circle":
            return self._redirect(self.path)
        if fault == "long-circle":
            return self._redirect(self.path, length=10**12)
        if fault == "trickled-headers":
            return self._trickle(b"HTTP/1.1 206 Partial Content\r\n" + b"X-Nothing: 1\r\n" * 10_000)
        self._send_file(served, path, fault)

    def _send_file(self, served: Served, path: Path, fault: str) -> None:
        size = path.stat().st_size
        wanted = self.headers.get("Range", "")
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        if not wanted or fault == "whole" or (fault == "whole-later" and served.requests > 1):
            start, stop, status = 0, size, 200
        else:
            start, stop, status = int(first), min(int(last or size - 1) + 1, size), 206
        if start >= size:
            return self._send(416, b"", "text/plain")
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        total = size + served.requests if fault == "growing" else "*" if fault == "no-size" else size
        shift = 1 if fault == "shifted" and served.requests > 1 else 0
        endless = fault in ("long", "endless") and served.requests > 1
        if fault == "endless":
            self.close_connection = True  # its end is that of the connection, so no length is stated
        else:
            self.send_header("Content-Length", str(stop - start + 1000 * endless))
        if fault == "packed":
            self.send_header("Content-Encoding", "gzip")
        tag = served.requests if fault == "changing" else path.stat().st_mtime_ns
        self.send_header("ETag", f'"{tag}"')
        if status == 206 and fault != "no-range":
            self.send_header("Content-Range", f"bytes {start + shift}-{stop - 1 + shift}/{total}")
        self.end_headers()
        with path.open("rb") as file:
            file.seek(start)
            body = file.read(stop - start)
        if fault == "short" and served.requests > 2:
            body, self.close_connection = body[: len(body) // 2], True
        if fault == "trickle" and served.requests > 1:
            return self._trickle(body)
        body += bytes(2**24 if fault == "endless" and endless else 1000 * endless)
        try:
            self.wfile.write(body)
        except OSError:  # the client has seen enough
            self.close_connection = True
        served.sent_bytes += len(body)

    def _trickle(self, data: bytes) -> None:
        """Send a byte a twentieth of a second: never silent, and never done."""
        self.close_connection = True
        with suppress(OSError):
            for i in range(len(data)):
                self.wfile.write(data[i : i + 1])
                time.sleep(0.05)

    def _redirect(self, path: str, *, length: int = 0) -> None:
        self.send_response(302)
        self.send_header("Location", path)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        with suppress(OSError):
            for _ in range(0, length, 2**20):
                self.wfile.write(bytes(2**20))

    def _answer_archive(self, served: Served, parts: list[str], query: dict[str, list[str]]) -> None:
        names = sorted(path.name for path in served.folder.iterdir() if path.is_file())
        match parts:
            case ["dandisets", "000001"]:
                version = {"version": "0.240101.0000"}
                return self._send_json({"identifier": "000001", "most_recent_published_version": version})
            case ["dandisets", "000002"]:
                return self._send_json({"identifier": "000002", "most_recent_published_version": None})
            case ["dandisets", "000666"]:
                return self._send(200, b"[" * 100_000, "application/json")
            case ["dandisets", "000667"]:
                return self._send(200, b" " * 5 * 2**20 + b"{}", "application/json")
            case ["dandisets", "000668"]:
                return self._send_json([1])
            case ["dandisets", "000669"]:
                return self._send_json({"most_recent_published_version": [1]})
            case ["dandisets", "000669", *_]:
                return self._send_json({"results": {"path": 1}})
            case ["dandisets", "000001" | "000002", "versions", "0.240101.0000" | "draft", "assets"]:
                prefix = query.get("path", [""])[0]
                assets = [{"asset_id": f"id-{name}", "path": f"sub-1/{name}", "zarr": None} for name in names]
                assets.append({"asset_id": "z", "path": "sub-1/zarr.nwb.zarr", "zarr": "z"})
                return self._send_json({"results": [a for a in assets if a["path"].startswith(prefix)]})  # type: ignore[union-attr]
            case ["assets", asset] if asset.removeprefix("id-") in names:
                api = f"{served.url}/api/assets/{asset}/download/"
                return self._send_json({"contentUrl": [api, f"{served.url}/{asset.removeprefix('id-')}"]})
        self._send(404, b'{"detail": "Not found."}', "application/json")

    def _send_json(self, document: object) -> None:
        self._send(200, json.dumps(document).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        # Closed with data pending and no time to linger, a connection is reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
