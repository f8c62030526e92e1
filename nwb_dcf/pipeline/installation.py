"""Check the installation: packages, extras, device, threads, folders, and the formats that can be read."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from .. import __version__
from ..errors import CACHE_FIX, PYNWB_CACHE, StoreError, compose_install

REQUIRED = {
    "torch": "torch", "torchdiffeq": "torchdiffeq", "pynwb": "pynwb", "hdmf": "hdmf", "h5py": "h5py",
    "numpy": "numpy", "scipy": "scipy", "scikit-learn": "sklearn", "pandas": "pandas", "xarray": "xarray",
}  # fmt: skip
"""Packages without which nothing is fitted, and the modules that they are imported by."""

EXTRAS = {
    "video": {"av": "av"},
    "plot": {"matplotlib": "matplotlib", "plotly": "plotly"},
    "view": {"panel": "panel", "bokeh": "bokeh", "pillow": "PIL"},
    "zarr": {"hdmf-zarr": "hdmf_zarr", "zarr": "zarr", "numcodecs": "numcodecs"},
    "filters": {"hdf5plugin": "hdf5plugin"},
    "stream": {"requests": "requests", "urllib3": "urllib3"},
    "parquet": {"pyarrow": "pyarrow"},
    "spikeinterface": {"spikeinterface": "spikeinterface"},
    "large": {"dask": "dask"},
    "compare": {"elephant": "elephant", "umap-learn": "umap"},
    "ethogram": {"ndx-ethogram": "ndx_ethogram"},
    "cluster": {"submitit": "submitit", "distributed": "distributed"},
}
"""Packages of each extra, and the modules that they are imported by."""

REINSTALL = "pip install --force-reinstall"
State = Literal["ok", "missing", "broken"]


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes
    ----------
    about : str
        What was checked: ``"torch"``, ``"extra video"``, ``"current folder"``.
    state : {"ok", "missing", "broken"}
        ``missing`` is an extra that is not installed, which is no fault.
    text : str
        What was found.
    fix : str
        What to do, where something is missing or broken.
    """

    about: str
    state: State
    text: str
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the check as a JSON-able dict."""
        return asdict(self)


@dataclass(frozen=True)
class Installation:
    """Report of `check_installation`.

    Attributes
    ----------
    versions : dict of str to str
        Of nwb-dcf, Python, and the packages that it needs; those not installed are absent.
    platform : str
    checks : tuple of Check
    """

    versions: dict[str, str]
    platform: str
    checks: tuple[Check, ...]

    @property
    def broken(self) -> list[Check]:
        """Checks that found a fault."""
        return [check for check in self.checks if check.state == "broken"]

    def to_dict(self) -> dict[str, object]:
        """Return the report as a JSON-able dict."""
        return {
            "versions": self.versions,
            "platform": self.platform,
            "checks": [check.to_dict() for check in self.checks],
            "broken": len(self.broken),
        }


def check_installation(folder: str | Path = ".") -> Installation:
    """Check what is installed and whether it works; nothing raises.

    Every package is imported, since a damaged one is found by that alone.

    Parameters
    ----------
    folder : str or Path
        Folder in which files are to be written.

    Returns
    -------
    Installation
    """
    checks = [_check_package(name, module) for name, module in REQUIRED.items()]
    works = {check.about for check in checks if check.state == "ok"}
    if "torch" in works:
        checks.append(_check_device())
    checks += [_check_extra(extra, packages) for extra, packages in EXTRAS.items()]
    if "h5py" in works:
        checks.append(_guard("HDF5 filters", _check_filters))
    checks += [_guard("Zarr", _check_zarr), _check_folder("current folder", Path(folder)), *_check_own_folders()]
    return Installation(list_versions(), f"{platform.system()} {platform.machine()}", tuple(checks))


def require_extras(*extras: str) -> None:
    """Refuse to go on where a package of an extra is missing or broken: before a fit, and not after it.

    Parameters
    ----------
    *extras : str
        Such as ``"plot"``.

    Raises
    ------
    StoreError
        With what to install, in the way this package was installed.

    Examples
    --------
    >>> require_extras()
    """
    checks = [_check_extra(extra, EXTRAS[extra]) for extra in extras]
    bad = [check for check in checks if check.state != "ok"]
    if bad:
        missing = [extra for extra, check in zip(extras, checks, strict=True) if check.state == "missing"]
        what = "; ".join(f"{check.about}: {check.text}" for check in bad)
        raise StoreError(what, fix=compose_install(",".join(missing)) if missing else bad[0].fix)


def list_versions(packages: Sequence[str] = tuple(REQUIRED)) -> dict[str, str]:
    """Return the versions of nwb-dcf, Python and `packages`; nothing of them is imported."""
    versions = {"nwb-dcf": __version__, "Python": platform.python_version()}
    for package in packages:
        version = _find_version(package)
        if version:
            versions[package] = version
    return versions


def _find_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _try_import(module: str) -> str:
    """Import a module; return its error in one line, empty where there is none."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a package built for another NumPy raises whatever its authors chose
        return _describe(error)
    return ""


def _describe(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _choose_fix(problem: str, otherwise: str) -> str:
    # pynwb makes a folder there as it is imported, which fails in a container whose user has no home
    return CACHE_FIX if PYNWB_CACHE in problem else otherwise


def _check_package(name: str, module: str) -> Check:
    # not installed and damaged are mended differently: look first, then import
    if importlib.util.find_spec(module) is None:
        return Check(name, "broken", "not installed", "pip install nwb-dcf")
    problem = _try_import(module)
    if problem:
        return Check(name, "broken", f"cannot be imported ({problem})", _choose_fix(problem, f"{REINSTALL} {name}"))
    return Check(name, "ok", _find_version(name) or "version unknown")


def _check_extra(extra: str, packages: dict[str, str]) -> Check:
    missing = [name for name, module in packages.items() if importlib.util.find_spec(module) is None]
    about, fix = f"extra {extra}", compose_install(extra)
    if missing:
        return Check(about, "missing", f"{', '.join(missing)} not installed", fix)
    for name, module in packages.items():
        problem = _try_import(module)
        if problem:
            again = _choose_fix(problem, fix.replace("pip install", REINSTALL))
            return Check(about, "broken", f"{name} cannot be imported ({problem})", again)
    return Check(about, "ok", ", ".join(f"{name} {_find_version(name)}".strip() for name in packages))


def _check_device() -> Check:
    from ..estimator.devices import list_devices

    try:
        found = list_devices()
    except Exception as error:  # a driver that does not fit torch
        return Check("device", "broken", f"torch cannot list its devices ({error})", "fit with --device cpu")
    cores = os.cpu_count() or 1
    text = f"{', '.join(found.names)}; a fit takes {found.default}; {found.threads} threads of {cores} cores"
    return Check("device", "ok", text)


def _guard(about: str, check: Callable[[], Check]) -> Check:
    """Make a check that imports what may be broken: a report that ends there would say nothing of the rest."""
    try:
        return check()
    except Exception as error:
        text = f"cannot be checked ({_describe(error)})"
        return Check(about, "broken", text, "mend what is broken above, and look again")


def _check_filters() -> Check:
    from ..io.backends.filters import list_filters

    there, absent = list_filters()
    if absent:
        fix = compose_install("filters")
        return Check("HDF5 filters", "missing", f"gzip and LZF, not {', '.join(absent)}", fix)
    return Check("HDF5 filters", "ok", f"gzip, LZF, {', '.join(there)}")


def _check_zarr() -> Check:
    """Name the formats of Zarr that are read and written: hdmf-zarr writes format 3 from its 0.14 on."""
    # here: --version reads this file, too
    from ..io.backends.zarr_format import writes_format_3

    version = _find_version("hdmf-zarr")
    if not version:
        return Check("Zarr", "missing", "no folder in Zarr can be read", compose_install("zarr"))
    if writes_format_3():
        return Check("Zarr", "ok", "folders of format 3 are read and written, and those of format 2 are read")
    return Check("Zarr", "ok", "folders of format 2 are read and written; format 3 is refused")


def _check_folder(about: str, folder: Path, fix: str = "write elsewhere with -o") -> Check:
    """Write a file and remove it: permissions alone say nothing of full or read-only disks."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".nwb-dcf-"):
            pass
    except OSError as error:
        why = error.strerror or str(error)
        return Check(about, "broken", f"{folder.resolve()} cannot be written: {why}", fix)
    return Check(about, "ok", f"{folder.resolve()} can be written")


def _check_own_folders() -> list[Check]:
    import platformdirs

    state = platformdirs.user_state_path("nwb-dcf")
    cache = platformdirs.user_cache_path("nwb-dcf", appauthor=False)
    return [
        _check_folder("folder of rescued fits", state, "set XDG_STATE_HOME to a folder that can be written"),
        _check_folder("cache of remote files", cache, CACHE_FIX),
    ]
