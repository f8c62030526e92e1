"""Look at a fit in the browser: latents, video, trials and behaviour on one clock.

It needs the extra ``view``. Everything here is read; nothing is written into the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..config.file_places import FilePlaces
from ..data.result import DCFResult
from ..errors import StoreError

__all__ = ["make_panel", "view_nwb"]


def view_nwb(
    path: str | Path,
    name: str | None = None,
    *,
    data: str | Path | None = None,
    video_dir: str | None = None,
    mask: str | None = None,
    allow_outside: bool = False,
    port: int = 0,
    browser: bool = True,
    link: str | None = None,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Show a stored fit in the browser, until Ctrl-C.

    The page is served to this machine alone (127.0.0.1), under an address that holds a random token.

    Parameters
    ----------
    path : str or Path
        NWB file with the fit.
    name : str, optional
        Of the fit; needed where there are several.
    data : str or Path, optional
        NWB file that holds the source, where that is neither `path` nor a file of the recorded name beside it.
    video_dir : str, optional
        Folder that holds its videos, where they are not where that file says; no fit remembers it.
    mask : str, optional
        The image that hid parts of their frames, if there was one; no fit opens it by itself.
    allow_outside : bool
        Open videos by paths that leave the folder of the NWB file; no fit allows that by itself.
    port : int
        0: any that is free.
    browser : bool
        Open the page in the user's browser.
    link : str, optional
        Address of an earlier page, whose view is restored.
    announce : callable, optional
        Called with the address once the page is served.

    Raises
    ------
    DCFError
        If the fit cannot be read, a choice is invalid, the port is taken, or panel is not installed.
    """
    require_panel()
    from .data import gather_view
    from .server import parse_link, serve

    if link is not None:
        parse_link(link)  # refused before anything is read
    view = gather_view(path, name, data=data, places=FilePlaces(video_dir, mask, allow_outside))
    serve(view, port=port, browser=browser, link=link, announce=announce)


def make_panel(
    result: DCFResult,
    path: str | Path | None = None,
    *,
    data: str | Path | None = None,
    video_dir: str | None = None,
    mask: str | None = None,
    allow_outside: bool = False,
) -> Any:
    """Make the same page as an object that Jupyter shows.

    Parameters
    ----------
    result : DCFResult
    path : str or Path, optional
        NWB file of the session; without it only what the fit itself holds is shown.
    data, video_dir, mask, allow_outside
        See `view_nwb`.

    Returns
    -------
    panel.Column

    Raises
    ------
    StoreError
        If panel is not installed.
    """
    require_panel()
    import panel

    from .app import App
    from .data import complete_view

    panel.extension()
    return App(complete_view(result, path, data=data, places=FilePlaces(video_dir, mask, allow_outside))).make_page()


def require_panel() -> None:
    """Refuse to start where panel is not installed.

    Raises
    ------
    StoreError
        With what to install.
    """
    try:
        import panel  # noqa: F401
    except ImportError as error:
        raise StoreError("the viewer needs panel", fix="pip install 'nwb-dcf[view]'") from error
