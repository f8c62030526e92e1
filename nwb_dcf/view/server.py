"""Serve a page on this machine: bound to 127.0.0.1, with a token, and for no other origin.

A browser sends the token once, in the address that is printed; it is then kept in a cookie that scripts cannot read
and that is not sent from other sites. Requests that name another host (as after DNS rebinding) or another origin are
refused before the token is looked at.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import webbrowser
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import panel as pn
from bokeh.server.auth_provider import AuthProvider
from panel.io.resources import LOCAL_DIST
from tornado.web import HTTPError

from ..errors import ParameterError, SourceError
from .app import App
from .data import ViewData

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
TITLE = "nwb-dcf view"


class TokenAuth(AuthProvider):  # type: ignore[misc]
    """Admit requests that have the token and name this machine as host and origin.

    Parameters
    ----------
    token : str
    port : int
    """

    def __init__(self, token: str, port: int) -> None:
        self._token, self._port = token, port
        self._hosts = {f"{name}:{port}" for name in NAMES}
        self._origins = {f"http://{host}" for host in self._hosts}
        self._cookie = f"nwb_dcf_view_{port}"  # cookies know no ports
        super().__init__()

    @property
    def get_user(self) -> Callable[[Any], str | None]:
        """Return the function that names the user of a request, or None to refuse it."""
        return self._admit

    @property
    def get_login_url(self) -> Callable[[Any], str]:
        """Return the function that answers a refused request: there is no page to log in at."""
        return self._refuse

    def _admit(self, handler: Any) -> str | None:
        request = handler.request
        if request.host.lower() not in self._hosts:
            return None
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() not in self._origins:
            return None
        given = handler.get_argument("token", None)
        # compare_digest takes the same time for every wrong token, so that none can be guessed letter by letter
        if given is not None and hmac.compare_digest(given.encode(), self._token.encode()):
            if request.headers.get("Upgrade", "").lower() != "websocket":
                handler.set_cookie(self._cookie, self._token, httponly=True, samesite="Strict", path="/")
            return "viewer"
        kept = handler.get_cookie(self._cookie)
        return "viewer" if kept and hmac.compare_digest(kept.encode(), self._token.encode()) else None

    def _refuse(self, handler: Any) -> str:
        raise HTTPError(403, reason="This page needs the token of the address that nwb-dcf view printed")


def parse_link(link: str) -> dict[str, str]:
    """Return the query of a link to a page, without its token.

    Raises
    ------
    ParameterError
        If it is no such link.
    """
    parts = urlsplit(link)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.pop("token", None)
    if not query or "t" not in query:
        raise ParameterError(f"{link[:80]!r} is no link to a view", fix="copy the address of the page, with its '?t='")
    return query


def make_server(view: ViewData, *, port: int = 0, link: str | None = None, token: str | None = None) -> tuple[Any, str]:
    """Make a server of the page, not yet started.

    Parameters
    ----------
    view : ViewData
    port : int
        0: any that is free.
    link : str, optional
        Address of an earlier page, whose view is restored.
    token : str, optional
        A random one by default.

    Returns
    -------
    server : bokeh Server
    address : str
        Of the page, with the token.

    Raises
    ------
    ParameterError
        If the port or the link is invalid.
    SourceError
        If the port is taken.
    """
    if not 0 <= port <= 65535:
        raise ParameterError(f"port is {port}", fix="give one from 1 to 65535, or 0 for any that is free")
    start = parse_link(link) if link else {}
    token = token or secrets.token_urlsafe(24)
    # known before the server is there: the token's cookie and the allowed origins name it
    port = port or _find_port()

    def make_page() -> Any:
        if pn.state.curdoc is not None:
            # a page that reconnects is made anew without its HTML, and panel would then take styles from the network
            pn.state.curdoc.template_variables.setdefault("dist_url", LOCAL_DIST)
        given = {key: _decode(values) for key, values in (pn.state.session_args or {}).items()}
        app = App(view, {**start, **given}, on_change=_update_address)
        return app.make_page()

    hosts = [f"{name}:{port}" for name in NAMES]
    try:
        server = pn.io.server.get_server(
            {"/": make_page}, port=port, address=HOST, websocket_origin=hosts, title=TITLE, show=False, start=False,
            auth_provider=TokenAuth(token, port), sign_sessions=True, secret_key=secrets.token_hex(32),
            generate_session_ids=True, unused_session_lifetime_milliseconds=300_000, session_token_expiration=3600,
        )  # fmt: skip
    except OSError as error:
        raise SourceError(f"port {port} cannot be used: {error.strerror}", fix="choose another with --port") from error
    return server, f"http://{HOST}:{port}/?{urlencode({**start, 'token': token})}"


def serve(
    view: ViewData,
    *,
    port: int = 0,
    browser: bool = True,
    link: str | None = None,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    view : ViewData
    port, link
        See `make_server`.
    browser : bool
        Open the page in the user's browser.
    announce : callable, optional
        Called with the address once the server runs.
    """
    server, address = make_server(view, port=port, link=link)
    server.start()
    if announce is not None:
        announce(address)
    if browser:
        webbrowser.open(address)
    try:
        server.io_loop.start()
    finally:
        server.stop()
        if view.frames is not None:
            view.frames.close()


def _update_address(query: dict[str, str]) -> None:
    location = pn.state.location
    if location is not None:
        location.update_query(**query)


def _decode(values: list[bytes]) -> str:
    return values[-1].decode("utf-8", "replace") if values else ""


def _find_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])
