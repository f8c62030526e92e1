"""Files that several tests ask for are written once a worker, and copied.

Writing one small NWB file takes pynwb longer than most tests take to read it.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import pickle
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec

P = ParamSpec("P")
Make = Callable[Concatenate[Path, P], Path]


@functools.cache
def keep_folder() -> Path:
    """A folder for this process, gone when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="nwb-dcf-written-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def written_once(make: Make[P]) -> Make[P]:
    """Let `make(path, ...)`, whose file follows from its other arguments, write each file once and copy it after.

    The copy has the same object ids, as a copy made by a reader has. Arguments that cannot be pickled, such as
    a local function, are no key: then the file is written anew.
    """

    @functools.wraps(make)
    def copy_or_make(path: Path, *args: P.args, **kwargs: P.kwargs) -> Path:
        try:
            key = hashlib.sha256(pickle.dumps((make.__qualname__, args, sorted(kwargs.items())))).hexdigest()
        except (pickle.PicklingError, AttributeError, TypeError):
            return make(path, *args, **kwargs)
        kept = keep_folder() / key
        if not kept.exists():
            made = make(path, *args, **kwargs)
            if made.exists():  # a video without frames is no file with some versions
                shutil.copyfile(made, kept)
            return made
        shutil.copyfile(kept, path)
        return path

    return copy_or_make
