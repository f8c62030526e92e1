"""A file that others use too: other names, owners, readers, extensions; and everything in it that is not ours."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from nwb_dcf.io.results import list_results, read_result, remove_result, write_result

from .structure import describe, find_differences
from .synthetic import assert_same_result, make_result, result_for

FITTED = ["three_units.nwb", "reach_chewie.nwb", "linear_track.nwb", "human_mtl_000207.nwb", "mouse_alm_000009.nwb"]
SERIES = [
    "celegans_moving.nwb",
    "ophys_rois.nwb",
    "openfield_video.nwb",
    "running_mouse_video.nwb",
    "pose_bad_clock.nwb",
]
N_FITS = 100


def test_of_an_odd_session_all_is_kept_and_no_extension_leaks_into_it(tmp_path: Path) -> None:
    # In a process of its own: what other tests have imported would be cached in the session from the start.
    make = (
        "import sys, pathlib, tests.io.results.odd_session as o; print(o.make_odd_session(pathlib.Path(sys.argv[1])))"
    )
    root = str(Path(__file__).parents[3])
    made = subprocess.run(
        [sys.executable, "-c", make, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    session = Path(made.stdout.strip())
    import ndx_pose  # noqa: F401 - it is loaded now, and the file does not use it

    before = describe(session)
    written = write_result(result_for(session), session)
    assert find_differences(before, describe(session)) == []
    with h5py.File(session) as file:
        assert sorted(file["specifications"]) == ["core", "hdmf-common", "hdmf-experimental", "ndx-dcf", "ndx-odd"]
        assert file[file.attrs[".specloc"]].name == "/specifications"
        assert file["processing/odd/thing"].attrs["neurodata_type"] == "OddThing"
        assert file["acquisition/raw/data"][()].tolist() == [1.0, 2.0]
    assert written.notes == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FITTED, *SERIES])
def test_of_every_real_session_all_is_kept(real_data: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(real_data(name).read_bytes())
    before = describe(path)
    write_result(result_for(path) if name in FITTED else make_result(np.arange(4), kind="series"), path, name="fit")
    assert find_differences(before, describe(path)) == []


def test_other_names_owner_mode_and_time(session: Path, tmp_path: Path) -> None:
    other = tmp_path / "hard.nwb"
    os.link(session, other)
    session.chmod(0o664)
    if os.geteuid() == 0:
        os.chown(session, 1234, 4321)
    os.utime(session, (1e9, 1e9))
    before, started = session.stat(), time.time()
    written = write_result(result_for(session), session)
    assert "the file had another name (hard links): there it is as it was before" in written.notes
    after = session.stat()
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (before.st_uid, before.st_gid, 0o664)
    assert after.st_mtime >= started - 2  # or backups would miss the fit
    assert len(list_results(session)) == 1
    assert list_results(other) == []
    assert other.stat().st_mtime == 1e9


@pytest.mark.long
def test_without_the_locks_of_hdf5_a_fit_is_written_all_the_same(session: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from nwb_dcf.io.results import write_result\n"
        "from tests.io.results.synthetic import result_for\n"
        "path = Path(sys.argv[1]); print(write_result(result_for(path), path).name)\n"
    )
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "HDF5_USE_FILE_LOCKING": "FALSE", "PYTHONPATH": root}
    hold = "import h5py, sys; f = h5py.File(sys.argv[1]); print('open', flush=True); sys.stdin.readline()"
    reader = subprocess.Popen(
        [sys.executable, "-I", "-c", hold, str(session)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "open\n"
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, str(session)], env=environment, capture_output=True, text=True, check=False
        )
    finally:
        reader.communicate("\n")
    assert (done.returncode, done.stdout) == (0, "units_dim3\n"), done.stderr
    assert_same_result(read_result(session), result_for(session))


def copy_fits(path: Path, n: int) -> None:
    """Give a file with the fit units_dim3 `n` - 1 more, each a copy with object ids of its own."""
    with h5py.File(path, "r+") as file:
        module = file["processing/dcf"]
        for i in range(1, n):
            file.copy(module["units_dim3"], module, name=f"fit_{i:03d}")
            module[f"fit_{i:03d}"].visititems(
                lambda where, item, i=i: (
                    item.attrs.modify("object_id", f"{i}-{where}") if "object_id" in item.attrs else None
                )
            )
            copied = module[f"fit_{i:03d}"]
            copied.attrs.modify("object_id", str(i))
            for name in ("flowed", "velocity"):  # a copy's link still leads to the fit that was copied
                if "timestamps" in copied[name]:
                    del copied[f"{name}/timestamps"]
                    copied[f"{name}/timestamps"] = h5py.SoftLink(f"{copied.name}/latents/timestamps")
            module[f"fit_{i:03d}/units"].attrs["table"] = file["units"].ref  # which a copy leads nowhere


@pytest.mark.long
def test_a_hundred_fits_are_listed_at_once(session: Path) -> None:
    write_result(result_for(session), session)
    copy_fits(session, N_FITS)
    started = time.process_time()
    assert len(list_results(session)) == N_FITS
    assert time.process_time() - started < 15.0  # each is checked and hashed: about a twentieth of a second


@pytest.mark.slow
def test_one_of_a_hundred_fits_is_removed(session: Path) -> None:
    result = result_for(session)
    write_result(result, session)
    one = session.stat().st_size
    copy_fits(session, N_FITS)
    before = describe(session)
    removed = remove_result(session, "fit_042")
    assert len(removed.fits) == N_FITS - 1
    after = describe(session)
    gone = {where for where in before if f"{where}/".startswith("/processing/dcf/fit_042/")}
    assert before.keys() - after.keys() == gone
    assert find_differences({k: v for k, v in before.items() if k not in gone}, after, allowed=()) == []
    assert session.stat().st_size < one + N_FITS * 400_000
    assert_same_result(read_result(session, "fit_099"), result)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_hundred_fits_one_after_the_other_add_no_more_than_their_data(session: Path) -> None:
    ids = describe(session)
    sizes = []
    for i in range(N_FITS):
        write_result(result_for(session, seed=i), session, name=f"fit_{i:03d}")
        sizes.append(session.stat().st_size)
    growth = np.diff(sizes)
    sys.stderr.write(f"a fit adds {growth.mean():.0f} bytes, the last {growth[-1]}\n")
    assert growth[-10:].mean() < 1.05 * growth[:10].mean()  # a fit costs what the first ones did
    assert find_differences(ids, describe(session)) == []
    for i in range(0, N_FITS, 9):
        assert f"fit_{i:03d}" not in remove_result(session, f"fit_{i:03d}").fits
    assert_same_result(read_result(session, "fit_001"), result_for(session, seed=1))
