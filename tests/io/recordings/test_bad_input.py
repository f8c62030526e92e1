"""Every fault of a file is one line: what, in which object of which file, what to do."""

import hashlib
import os
import subprocess
import sys
from importlib.metadata import entry_points

import h5py
import numpy as np
import pytest

from nwb_dcf.errors import DCFError, SourceError, name_options
from nwb_dcf.io.recordings import list_sources, read_recording
from tests.nwb_files import FAULTY, make_faulty_session, make_series_session, make_spike_session, replace_data


@pytest.mark.parametrize("fault", FAULTY)
def test_faulty_sessions(tmp_path, fault):
    path = make_faulty_session(tmp_path / "s.nwb", fault)
    _, settings, words = FAULTY[fault]
    before = hashlib.sha256(path.read_bytes()).digest()
    with pytest.raises(DCFError) as error:
        read_recording(path, **settings)
    message = name_options(str(error.value))
    assert "\n" not in message
    for word in ("s.nwb", ";", *words):
        assert word in message
    assert error.value.fix
    list_sources(path)  # a catalogue can be had of every file that opens
    assert hashlib.sha256(path.read_bytes()).digest() == before


def test_no_such_file(tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        read_recording(tmp_path / "none.nwb")


def test_folder(tmp_path):
    with pytest.raises(SourceError, match="folder"):
        read_recording(tmp_path)


@pytest.mark.parametrize("content", [b"", b"some text that is not HDF5"])
def test_not_hdf5(tmp_path, content):
    (tmp_path / "s.nwb").write_bytes(content)
    with pytest.raises(SourceError, match="not an HDF5 file"):
        read_recording(tmp_path / "s.nwb")


def test_cut_short(tmp_path):
    path = make_series_session(tmp_path / "s.nwb")
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(SourceError, match="damaged"):
        read_recording(path)


def test_hdf5_but_not_nwb(tmp_path):
    with h5py.File(tmp_path / "s.nwb", "w") as file:
        file["x"] = 1
    with pytest.raises(SourceError, match="not NWB"):
        read_recording(tmp_path / "s.nwb")


def test_says_nwb_but_is_not(tmp_path):
    with h5py.File(tmp_path / "s.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.9.0"
    with pytest.raises(SourceError, match=r"pynwb cannot read this file: .+validate"):
        read_recording(tmp_path / "s.nwb")


def test_an_object_that_pynwb_cannot_make(tmp_path):
    path = replace_data(make_series_session(tmp_path / "s.nwb"), np.float64(3))
    with pytest.raises(SourceError, match=r"cannot read this file: /acquisition/signal: Could not construct") as error:
        list_sources(path)
    assert len(str(error.value)) < 500
    # what the reader is told to run is there
    assert "pynwb-validate s.nwb" in str(error.value)
    assert [one.module for one in entry_points(group="console_scripts", name="pynwb-validate")] != []


def test_nwb_1(real_data):
    with pytest.raises(SourceError, match="NWB 1"):
        list_sources(real_data("not_nwb2.nwb"))


@pytest.mark.parametrize(("version", "says"), [(2.5, "is 2.5, a number and no text"), ("3.0.0", "version '3.0.0' of")])
def test_a_version_that_is_not_nwb_2_is_named_as_it_is(version, says, tmp_path):
    path = tmp_path / "s.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = version
    with pytest.raises(SourceError, match=says):
        list_sources(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable_file(tmp_path):
    path = make_series_session(tmp_path / "s.nwb")
    path.chmod(0)
    with pytest.raises(SourceError, match="permissions"):
        read_recording(path)


def test_open_for_writing_in_another_process(tmp_path):
    path = make_spike_session(tmp_path / "s.nwb")
    hold = f"import h5py; f = h5py.File({str(path)!r}, 'r+'); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(SourceError, match=r"another process.*HDF5_USE_FILE_LOCKING"):
            read_recording(path)
        writer.communicate("\n")
    read_recording(path)


def test_file_is_closed_after_an_error(tmp_path):
    path = make_faulty_session(tmp_path / "s.nwb", "NaN data")
    with pytest.raises(DCFError):
        read_recording(path, "signal")
    with h5py.File(path, "r+"):
        pass
