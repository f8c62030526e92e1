"""The same values give the same hash wherever they are stored; any change gives another."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from nwb_dcf.io import hashing
from nwb_dcf.io.hashing import hash_series, hash_units, hash_video


def test_arrays_in_memory_and_in_a_file_hash_alike(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(1000, 3))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=data, chunks=(7, 2), compression="gzip")
        stored = hash_series(file["data"], rate=np.float32(5), starting_time=np.float64(1))
    assert stored == hash_series(data, rate=5.0, starting_time=1)
    assert stored == hash_series(data.astype(">f8"), rate=5.0, starting_time=1)
    others = [
        hash_series(data, rate=5.0, starting_time=2),
        hash_series(data, rate=4.0, starting_time=1),
        hash_series(data.astype(np.float32), rate=5.0, starting_time=1),
        hash_series(data.reshape(3, 1000), rate=5.0, starting_time=1),
        hash_series(data, timestamps=np.arange(1000.0)),
        hash_series(np.nextafter(data, 9), rate=5.0, starting_time=1),
    ]
    assert len({stored, *others}) == 7


def test_one_spike_more_or_moved_to_another_unit_shows() -> None:
    index, times = np.array([2, 5]), np.array([0.1, 0.2, 0.1, 0.3, 0.4])
    assert hash_units([index, times]) == hash_units([index.copy(), times.copy()])
    moved, later = np.array([3, 5]), times + np.array([0, 0, 0, 0, 1e-9])
    assert len({hash_units([index, times]), hash_units([moved, times]), hash_units([index, later])}) == 3


def test_of_a_large_array_blocks_are_hashed_and_its_ends_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "WHOLE", 1000)
    monkeypatch.setattr(hashing, "BLOCK", 80)
    data = np.arange(10_000.0)
    read = []

    class Counted:
        dtype, shape = data.dtype, data.shape

        def __len__(self) -> int:
            return len(data)

        def __getitem__(self, rows: slice) -> np.ndarray:
            read.append((rows.start, rows.stop))
            return data[rows]

    before = hash_series(Counted())
    assert (read[0], read[-1], len(read)) == ((0, 10), (9990, 10_000), 64)
    data[-1] += 1
    assert hash_series(Counted()) != before


def test_texts_are_hashed_by_what_they_say() -> None:
    assert hash_series(np.array(["a", "früh"], dtype=object)) == hash_series(np.array([b"a", "früh"], dtype=object))
    assert hash_series(np.array(["a", "b"], dtype=object)) != hash_series(np.array(["a", "c"], dtype=object))


def test_a_short_video_is_hashed_whole_and_a_long_one_by_size_time_and_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = tmp_path / "v.mp4"
    video.write_bytes(bytes(5000))
    short = hash_video([video], rate=30.0)
    os.utime(video, (1, 1))
    assert hash_video([video], rate=30.0) == short
    assert hash_video([video], rate=25.0) != short
    assert hash_video([video, video], rate=30.0) != short

    monkeypatch.setattr(hashing, "WHOLE_FILE", 4000)
    monkeypatch.setattr(hashing, "BLOCK", 10)
    long = hash_video([video])
    os.utime(video, (1.4, 1.4))
    assert hash_video([video]) == long
    os.utime(video, (2, 2))
    assert hash_video([video]) != long
    video.write_bytes(bytes(4999) + b"1")
    os.utime(video, (1, 1))
    assert hash_video([video]) != long
    with pytest.raises(FileNotFoundError):
        hash_video([tmp_path / "none.mp4"])
