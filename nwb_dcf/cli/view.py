"""``view``: a stored fit in the browser."""

from __future__ import annotations

from typing import Any

import click

import nwb_dcf

from .options import FILE, with_file_places
from .output import write_text


@click.command()
@click.argument("file", type=FILE)
@click.argument("name", required=False)
@click.option("--port", type=int, default=0, metavar="N", help="Where to serve the page; any free port by default.")
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
@click.option("--link", metavar="ADDRESS", help="Bring back what an earlier page showed: its address.")
@click.option("--data", metavar="DATA.nwb", help="What was fitted, where it is not in FILE or beside it.")
@with_file_places
def view(file: str, name: str | None, no_browser: bool, **options: Any) -> None:
    """Look at the fit NAME of FILE in your browser: latents, video, trials and behaviour on one clock.

    The page is for this machine alone; Ctrl-C ends it. Nothing is written into FILE.

    Example: nwb-dcf view session.nwb units_dim3
    """

    def announce(address: str) -> None:
        # on stdout: a script that starts the page reads its address there
        write_text(f"{address}\nCtrl-C ends")

    nwb_dcf.view.view_nwb(file, name, browser=not no_browser, announce=announce, **options)


COMMANDS = (view,)
