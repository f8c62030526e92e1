"""Who is let in: this machine, with the token, from no other page."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from nwb_dcf.errors import ParameterError, SourceError
from nwb_dcf.view.server import make_server, parse_link

from .conftest import make_view


@dataclass(frozen=True)
class Running:
    port: int
    token: str
    server: Any


def start_server(view: Any, **options: Any) -> tuple[str, Callable[[], None]]:
    """Serve `view` in a thread; return the address and what ends it."""
    ready, held = threading.Event(), {}

    def run() -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        server, address = make_server(view, **options)
        held.update(server=server, address=address)
        server.start()
        server.io_loop.add_callback(ready.set)
        server.io_loop.start()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(60)

    def stop() -> None:
        held["server"].io_loop.add_callback(held["server"].io_loop.stop)
        thread.join(20)
        held["server"].unlisten()

    return str(held["address"]), stop


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    address, stop = start_server(make_view(n_frames=60))
    parts = urlsplit(address)
    yield Running(int(parts.port or 0), parse_qs(parts.query)["token"][0], None)
    stop()


def ask(running: Running, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    response.read()
    return response


def test_the_token_lets_in_and_leaves_a_cookie_that_does_too(running: Running) -> None:
    with_token = ask(running, f"/?token={running.token}")
    assert with_token.status == 200
    cookie = with_token.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert ask(running, Cookie=cookie.partition(";")[0]).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=wrong", "/autoload.js?bokeh-autoload-element=1", "/metadata", "/?token=%C3%A9"]
)
def test_without_the_token_nothing_is_shown(running: Running, path: str) -> None:
    assert ask(running, path).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
    ],
)
def test_other_names_and_origins_are_refused_with_the_token_too(running: Running, headers: dict[str, str]) -> None:
    assert ask(running, f"/?token={running.token}", **headers).status == 403


@pytest.mark.parametrize(("origin", "token"), [("http://evil.example", True), (None, False)])
def test_a_socket_needs_origin_and_token(running: Running, origin: str | None, token: bool) -> None:
    own = f"http://127.0.0.1:{running.port}"
    query = f"?token={running.token}" if token else ""
    request = HTTPRequest(f"ws://127.0.0.1:{running.port}/ws{query}", headers={"Origin": origin or own})

    async def connect() -> None:
        await websocket_connect(request, subprotocols=["bokeh", "x"])

    with pytest.raises(HTTPClientError) as refused:
        asyncio.run(connect())
    assert refused.value.code == 403


def test_only_this_machine_is_listened_to(running: Running) -> None:
    with socket.socket() as other:
        other.settimeout(5)
        # another address of this machine, at which a server bound to all would answer
        assert other.connect_ex(("127.0.0.2", running.port)) != 0


def test_a_port_that_is_taken_is_refused(running: Running) -> None:
    async def make() -> None:
        make_server(make_view(n_frames=60), port=running.port)

    with pytest.raises(SourceError, match="`port=`"):
        asyncio.run(make())
    with pytest.raises(ParameterError, match="port is 70000"):
        make_server(make_view(n_frames=60), port=70000)


def test_a_link_is_taken_apart_and_its_token_forgotten() -> None:
    assert parse_link("http://127.0.0.1:1/?t=1.5&token=x&axes=1%2C2") == {"t": "1.5", "axes": "1,2"}
    for link in ("", "http://127.0.0.1:1/", "http://127.0.0.1:1/?token=x"):
        with pytest.raises(ParameterError, match="no link"):
            parse_link(link)
