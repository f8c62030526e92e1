"""The command that installs an extra, in the way in which this package was installed."""

from __future__ import annotations

import functools
import re
import shlex
import sys
from collections.abc import Mapping
from typing import Any

_INSTALL = re.compile(r"pip install '?nwb-dcf\[([\w,]+)\]'?")


def name_installation(text: str) -> str:
    """Put the command that installs an extra in the way this package was installed in place of pip's own.

    Examples
    --------
    >>> name_installation("plots need matplotlib")
    'plots need matplotlib'
    """
    return _INSTALL.sub(lambda found: compose_install(found[1]), text)


@functools.cache
def compose_install(extra: str) -> str:
    """Return the command that installs an extra as this package was installed: by pip, uv, pipx or conda."""
    # here: an error in a hundred needs them, and every start would pay
    import importlib.metadata
    import json
    from pathlib import PurePath

    try:
        own = importlib.metadata.distribution("nwb-dcf")
    except importlib.metadata.PackageNotFoundError:  # a checkout on the path
        return f"pip install 'nwb-dcf[{extra}]'"
    installer = (own.read_text("INSTALLER") or "pip").strip()
    direct = json.loads(own.read_text("direct_url.json") or "{}")
    wanted = rf"extra == ['\"]({extra.replace(',', '|')})['\"]"
    packages = [line.partition(";")[0].strip() for line in own.requires or () if re.search(wanted, line)]
    place = PurePath(sys.prefix).parts
    if installer == "conda":  # which has no extras
        return shlex.join(["conda", "install", "-c", "conda-forge", *packages])
    if "pipx" in place:
        return shlex.join(["pipx", "inject", "nwb-dcf", *packages])
    if place[-3:-1] == ("uv", "tools"):
        return shlex.join(["uv", "tool", "install", "--force", _name_origin(direct, extra)])
    tool = "uv pip install" if installer == "uv" else "pip install"
    editable = " -e" if direct.get("dir_info", {}).get("editable") else ""
    return f"{tool}{editable} '{_name_origin(direct, extra)}'"


def _name_origin(direct: Mapping[str, Any], extra: str) -> str:
    """What is to be installed: the folder, archive or repository that PEP 610 has kept, else the name."""
    from urllib.parse import unquote, urlsplit

    url = direct.get("url", "")
    if "dir_info" in direct:
        return f"{unquote(urlsplit(url).path)}[{extra}]"
    if "vcs_info" in direct:
        kept = direct["vcs_info"]
        return f"nwb-dcf[{extra}] @ {kept['vcs']}+{url}@{kept['commit_id']}"
    return f"nwb-dcf[{extra}] @ {url}" if url else f"nwb-dcf[{extra}]"
