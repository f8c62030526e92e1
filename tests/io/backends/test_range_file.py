"""A file that is read by ranges: the right bytes, few requests, none that is larger than it may be."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from nwb_dcf.io.backends.block_cache import BlockCache
from nwb_dcf.io.backends.range_file import BLOCK_BYTES, RangeFile
from nwb_dcf.io.backends.timed_http import LARGEST_REQUEST_BYTES

CONTENT = np.random.default_rng(0).bytes(40 * BLOCK_BYTES + 17)


class Server:
    """Hands out ranges of `CONTENT`, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def fetch(self, start: int, stop: int) -> bytes:
        self.asked.append((start, stop))
        return CONTENT[start:stop]


@pytest.mark.parametrize("seed", range(20))
def test_it_reads_as_a_file_in_memory_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = rng.integers(0, (len(CONTENT) + 10, 3 * BLOCK_BYTES), (8, 2)).tolist()
    server, known = Server(), io.BytesIO(CONTENT)
    file = RangeFile(len(CONTENT), server.fetch)
    for place, size in places:
        assert file.seek(place) == known.seek(place)
        assert file.read(size) == known.read(size)
        assert file.tell() == known.tell()
    fetched = [
        number for start, stop in server.asked for number in range(start // BLOCK_BYTES, -(-stop // BLOCK_BYTES))
    ]
    assert len(fetched) == len(set(fetched))  # nothing is asked for twice
    assert all(0 < stop - start <= LARGEST_REQUEST_BYTES for start, stop in server.asked)


def test_a_sequence_needs_few_requests_and_single_places_little() -> None:
    server = Server()
    file = RangeFile(len(CONTENT), server.fetch)
    while file.read(1000):
        pass
    assert len(server.asked) <= 8
    server = Server()
    file = RangeFile(len(CONTENT), server.fetch)
    for number in (5, 35, 20, 10, 30):
        file.seek(number * BLOCK_BYTES)
        file.read(10)
    assert sum(stop - start for start, stop in server.asked) == 5 * BLOCK_BYTES


def test_what_was_kept_is_not_fetched_again(tmp_path: Path) -> None:
    cache, server = BlockCache(tmp_path / "cache"), Server()
    assert RangeFile(len(CONTENT), server.fetch, cache).readall() == CONTENT
    asked = len(server.asked)
    assert RangeFile(len(CONTENT), server.fetch, cache).readall() == CONTENT
    assert len(server.asked) == asked
    cache.keep(3, CONTENT[: BLOCK_BYTES - 1])  # whole by its digest, and not of the size that it must have
    assert RangeFile(len(CONTENT), server.fetch, cache).readall() == CONTENT


def test_seeking_knows_three_origins() -> None:
    file = RangeFile(len(CONTENT), Server().fetch)
    assert file.seek(-4, io.SEEK_END) == len(CONTENT) - 4
    assert file.seek(2, io.SEEK_CUR) == len(CONTENT) - 2
    assert file.read() == CONTENT[-2:]
