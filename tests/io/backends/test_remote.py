"""Over the network: the same recording, few bytes, each fault of a server in one line."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from pynwb import H5DataIO, NWBFile, TimeSeries

from nwb_dcf.errors import DCFError, SourceError
from nwb_dcf.io.backends.block_cache import BlockCache, claim_folder, open_cache
from nwb_dcf.io.backends.http import RemoteFile
from nwb_dcf.io.backends.location import Address, locate, to_https
from nwb_dcf.io.recordings import list_sources, read_recording
from tests.file_server import Served, serve
from tests.nwb_files import make_series_session, make_spike_session


@pytest.fixture(scope="module")
def spikes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_spike_session(tmp_path_factory.mktemp("spikes") / "s.nwb")


@pytest.fixture
def server(tmp_path: Path, spikes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Serve the folder ``served``, with a session ``s.nwb`` in it; what is fetched is kept in ``cache``."""
    (tmp_path / "served").mkdir()
    shutil.copy(spikes, tmp_path / "served")
    monkeypatch.setenv("NWB_DCF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NWB_DCF_TIMEOUT", "20")
    monkeypatch.setattr("nwb_dcf.io.backends.http.WAITS_S", (0.01, 0.01))
    with serve(tmp_path / "served", slow_s=2.0) as served:
        monkeypatch.setenv("NWB_DCF_DANDI_API", f"{served.url}/api/")
        yield served


def test_the_same_recording_and_catalogue(server: Served) -> None:
    here, there = server.folder / "s.nwb", f"{server.url}/s.nwb"
    assert list_sources(here) == list_sources(there)
    xr.testing.assert_identical(read_recording(here), read_recording(there))
    asked = server.requests
    xr.testing.assert_identical(read_recording(here), read_recording(there))
    assert server.requests == asked + 1  # whether it has changed; the rest is on the disk


@pytest.mark.parametrize("address", ["dandi://000001/sub-1/s.nwb", "dandi://000001@0.240101.0000/sub-1/s.nwb"])
def test_an_address_in_the_archive(server: Served, address: str) -> None:
    xr.testing.assert_identical(read_recording(server.folder / "s.nwb"), read_recording(address))


def test_a_dandiset_without_a_publication_is_read_as_a_draft(server: Served) -> None:
    assert list_sources("dandi://000002/sub-1/s.nwb").file == "s.nwb"
    assert any("/versions/draft/" in asked for asked in server.asked)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("dandi://000003/s.nwb", ("no dandiset 000003",)),
        ("dandi://000001@9/s.nwb", ("no version 9 of dandiset 000001",)),
        ("dandi://000001/sub-2/s.nwb", ("has no file sub-2/s.nwb", "dandiarchive.org/dandiset/000001")),
        ("dandi://000001/sub-1/", ("has no file sub-1/", "the archive has sub-1/s.nwb")),
        ("dandi://000001/sub-1/zarr.nwb.zarr", ("Zarr", "dandi download")),
        ("dandi://0001/s.nwb", ("no address in the DANDI archive", "write dandi://000006/")),
        ("dandi://000001", ("no address in the DANDI archive",)),
    ],
)
def test_wrong_addresses_in_the_archive(server: Served, address: str, words: tuple[str, ...]) -> None:
    check_refusal(address, (address, *words))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("missing", ("404", "check the address")),
        ("forbidden", ("403", "public")),
        ("reset", ("broke off",)),
        ("reset-later", ("broke off",)),
        ("short", ("broke off",)),
        ("whole", ("no byte ranges", "download")),
        ("slow", ("did not answer within 0.5 s", "NWB_DCF_TIMEOUT")),
        ("page", ("web page",)),
        ("busy", ("503",)),
        ("changing", ("changed on the server while it was read",)),
        ("growing", ("changed on the server while it was read",)),
        ("whole-later", ("stopped to send parts",)),
        ("shifted", ("another part than was asked for",)),
        ("long", ("more than was asked for",)),
        ("endless", ("more than was asked for",)),
        ("no-range", ("no byte ranges",)),
        ("no-size", ("no byte ranges",)),
        ("packed", ("compresses",)),
        ("circle", ("redirects without end",)),
        ("long-circle", ("more than was asked for",)),
        ("trickle", ("sends too slowly",)),
        ("trickled-headers", ("sends too slowly",)),
    ],
)
def test_faults_of_a_server(
    server: Served, fault: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault in ("slow", "trickle", "trickled-headers"):
        monkeypatch.setenv("NWB_DCF_TIMEOUT", "0.5")
        monkeypatch.setattr("nwb_dcf.io.backends.timed_http.MIN_BYTES_PER_S", 1e7)
    address = f"{server.url}/{fault}/s.nwb"
    started = time.monotonic()
    check_refusal(address, (address, *words))
    assert time.monotonic() - started < 5
    assert all(len(path.name) == 2 for path in (server.folder.parent / "cache").rglob("*") if path.is_file())
    assert server.sent_bytes < 2e6 or fault == "endless"


def test_reading_starts_no_thread(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    # h5py holds its lock while it waits; another thread whose garbage collection meets HDF5 would wait for it too
    started: list[str] = []
    start = threading.Thread.start

    def note(thread: threading.Thread) -> None:
        if threading.current_thread() is threading.main_thread():
            started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", note)
    list_sources(f"{server.url}/s.nwb")
    assert started == []


def test_passing_faults_are_waited_for_but_not_without_end(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for fault in ("now-and-then", "sometimes"):
        xr.testing.assert_identical(
            read_recording(server.folder / "s.nwb"), read_recording(f"{server.url}/{fault}/s.nwb?{fault}")
        )
    monkeypatch.setattr("nwb_dcf.io.backends.http.MAX_RETRIES", 1)
    check_refusal(f"{server.url}/sometimes/s.nwb?again", ("503",))


@pytest.mark.parametrize("dandiset", ["000666", "000667", "000668", "000669"])
def test_answers_of_an_archive_that_are_no_answers(server: Served, dandiset: str) -> None:
    check_refusal(f"dandi://{dandiset}/s.nwb", ())


@pytest.mark.parametrize("name", ["NWB_DCF_TIMEOUT", "NWB_DCF_CACHE_GB"])
@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
def test_variables_that_are_no_numbers(server: Served, name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(DCFError, match=name):
        read_recording(f"{server.url}/s.nwb")


def check_refusal(address: str, words: tuple[str, ...]) -> None:
    with pytest.raises(SourceError) as error:
        read_recording(address)
    message = str(error.value)
    assert "\n" not in message
    assert error.value.fix
    for word in (";", *words):
        assert word in message


@pytest.mark.parametrize("content", [b"", b"no HDF5, but long enough to be read as a file of some kind" * 50])
def test_wrong_content(server: Served, content: bytes) -> None:
    (server.folder / "x.nwb").write_bytes(content)
    check_refusal(f"{server.url}/x.nwb", ("not an HDF5 file",) if content else ("is empty",))


def test_hdf5_that_is_not_nwb_and_nwb_cut_short(server: Served) -> None:
    with h5py.File(server.folder / "x.nwb", "w") as file:
        file["x"] = 1
    check_refusal(f"{server.url}/x.nwb", ("not NWB",))
    whole = (server.folder / "s.nwb").read_bytes()
    (server.folder / "cut.nwb").write_bytes(whole[:-5000])
    check_refusal(f"{server.url}/cut.nwb", ("damaged",))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ftp://host/s.nwb", ("ftp:// cannot be read", "https://")),
        ("s3://bucket", ("a bucket and a key",)),
        ("http://127.0.0.1:1/s.nwb", ("refuses connections",)),
        ("https://[x/s.nwb", ("no address",)),
        ("https://", ("cannot be asked",)),
    ],
)
def test_addresses_that_lead_nowhere(server: Served, address: str, words: tuple[str, ...]) -> None:
    check_refusal(address, words)


def test_without_the_packages_of_the_network(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    check_refusal(f"{server.url}/s.nwb", ("needs requests", "[stream]"))


def test_a_signature_stays_out_of_errors_and_recordings(server: Served) -> None:
    signed = f"{server.url}/s.nwb?X-Amz-Signature=secret"
    assert read_recording(signed).attrs["source"]["file"] == "s.nwb"
    with pytest.raises(SourceError) as error:
        read_recording(signed, "nothing")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "https"),
    [
        ("s3://bucket/a/b.nwb", "https://bucket.s3.amazonaws.com/a/b.nwb"),
        ("s3://bucket/a b+c.nwb", "https://bucket.s3.amazonaws.com/a%20b%2Bc.nwb"),
        ("s3://with.dots/b.nwb", "https://s3.amazonaws.com/with.dots/b.nwb"),
        ("https://host/x", "https://host/x"),
    ],
)
def test_s3_as_https(text: str, https: str) -> None:
    assert to_https(Address(text)) == https


def test_paths_are_no_addresses() -> None:
    for path in ("s.nwb", "/a/b.nwb", "C:/data/s.nwb", "folder:with/colon.nwb"):
        assert locate(path) == Path(path)
    assert locate(Path("/a/b c.nwb").as_uri()) == Path("/a/b c.nwb")


def test_a_file_that_changes_is_fetched_anew(server: Served) -> None:
    address = f"{server.url}/s.nwb"
    first = read_recording(address)
    make_spike_session(server.folder / "s.nwb", seed=1)
    os.utime(server.folder / "s.nwb", ns=(1, 1))
    second = read_recording(address)
    xr.testing.assert_identical(second, read_recording(server.folder / "s.nwb"))
    assert first.attrs["source"]["sha256"] != second.attrs["source"]["sha256"]


def test_a_damaged_cache_is_not_believed(server: Served) -> None:
    address = f"{server.url}/s.nwb"
    read_recording(address)
    kept = [path for path in (server.folder.parent / "cache").rglob("*") if path.is_file()]
    assert len(kept) >= 2
    kept[0].write_bytes(kept[0].read_bytes()[:1000])
    kept[1].write_bytes(kept[1].read_bytes()[:-1] + b"?")
    xr.testing.assert_identical(read_recording(server.folder / "s.nwb"), read_recording(address))


def test_a_block_that_differs_from_its_digest_is_not_there(tmp_path: Path) -> None:
    cache = BlockCache(tmp_path / ("a" * 32))
    cache.keep(0, b"block")
    assert cache.find(0) == b"block"
    (stored,) = (path for path in tmp_path.rglob("*") if path.is_file())
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    assert cache.find(0) is None


def test_the_cache_stays_below_its_limit_and_removes_only_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NWB_DCF_CACHE_GB", "0.000250")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_bytes(bytes(300_000))
    os.utime(tmp_path / "thesis", (0, 0))
    caches = [BlockCache(tmp_path / (name * 32)) for name in "abc"]
    for age, cache in enumerate(caches):
        cache.keep(0, bytes(100_000))
        cache.prune()
        os.utime(cache.folder, (1000 * age, 1000 * age))
    assert [cache.find(0) is not None for cache in caches] == [False, True, True]
    assert (tmp_path / "thesis" / "chapter").exists()


def test_no_cache_where_none_is_wanted_or_versions_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NWB_DCF_CACHE", "off")
    assert open_cache(RemoteFile("https://x", 1, "v")) is None
    monkeypatch.delenv("NWB_DCF_CACHE")
    assert open_cache(RemoteFile("https://x", 1, "")) is None


def test_nobody_else_reads_the_cache_or_is_read_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    own = claim_folder(shared)
    assert own is not None
    cache = BlockCache(own / ("a" * 32))
    cache.keep(300, b"block")
    modes = {path.is_file(): stat.S_IMODE(path.lstat().st_mode) for path in [own, *own.rglob("*")]}
    assert modes == {False: 0o700, True: 0o600}
    kept = next(path for path in own.rglob("*") if path.is_file())
    (tmp_path / "elsewhere").write_bytes(kept.read_bytes())
    kept.unlink()
    kept.symlink_to(tmp_path / "elsewhere")
    assert cache.find(300) is None
    own.rename(shared / "other")
    own.symlink_to(shared / "other")
    assert claim_folder(shared) is None
    own.unlink()
    own.mkdir(0o777)
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    own.rename(shared / f"user-{uid + 1}")  # made by the user uid, for us to find
    assert claim_folder(shared) is None


def test_a_cache_that_cannot_be_written_is_done_without(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    (server.folder.parent / "file").write_text("")
    monkeypatch.setenv("NWB_DCF_CACHE", str(server.folder.parent / "file" / "cache"))
    assert read_recording(f"{server.url}/s.nwb").sizes["unit"] == 8


def test_only_what_is_needed_is_fetched(server: Served) -> None:
    def add_bulk(nwbfile: NWBFile) -> None:
        bulk = H5DataIO(np.zeros((5000, 1000), np.int16), chunks=(500, 1000))  # 10 MB, not compressed
        nwbfile.add_acquisition(TimeSeries(name="bulk", data=bulk, rate=1000.0, unit="V"))

    make_series_session(server.folder / "big.nwb", change=add_bulk)
    read_recording(f"{server.url}/big.nwb", "signal")
    assert server.sent_bytes < 0.1 * (server.folder / "big.nwb").stat().st_size
