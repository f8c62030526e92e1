"""A file behind a server as a file object: what is read of it is fetched in blocks, and kept."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from .timed_http import LARGEST_REQUEST_BYTES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from .block_cache import BlockCache

BLOCK_BYTES = 128 * 2**10
"""The metadata of HDF5 lie in pieces far smaller, near to each other."""

MAX_BLOCKS = LARGEST_REQUEST_BYTES // BLOCK_BYTES
"""At most fetched by one request, and at most fetched beyond what was asked for."""

_IN_MEMORY = 512  # blocks, 64 MiB


class RangeFile(io.RawIOBase):
    """A file of `size` bytes that is read by `fetch`.

    Parameters
    ----------
    size : int
        Bytes.
    fetch : callable
        From first byte and last byte, excluded, to the bytes between.
    cache : BlockCache, optional
        Keeps blocks beyond this process.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], bytes], cache: BlockCache | None = None) -> None:
        super().__init__()
        self.size = size
        self._fetch = fetch
        self._cache = cache
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._ahead, self._next = 1, -1

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence] + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        # h5py calls this where a file object has it, and spares a copy.
        view = memoryview(buffer).cast("B")
        stop = min(self._position + len(view), self.size)
        filled = 0
        while self._position < stop:
            number, offset = divmod(self._position, BLOCK_BYTES)
            piece = self._read_block(number, (stop - 1) // BLOCK_BYTES)[offset : offset + stop - self._position]
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._position += len(piece)
        return filled

    def _read_block(self, number: int, last: int) -> bytes:
        """Return a block; those up to the block `last` will be asked for next."""
        block = self._find_block(number)
        if block is not None:
            return block
        # Reading on where the last request ended is a sequence, and what follows will be wanted too.
        self._ahead = min(2 * self._ahead, MAX_BLOCKS) if number == self._next else max(self._ahead // 2, 1)
        count = min(max(last - number + 1, self._ahead), MAX_BLOCKS, -(-self.size // BLOCK_BYTES) - number)
        # What is known already is not fetched again.
        count = next((i for i in range(1, count) if self._find_block(number + i) is not None), count)
        start = number * BLOCK_BYTES
        data = self._fetch(start, min(start + count * BLOCK_BYTES, self.size))
        for i in range(count):
            block = data[i * BLOCK_BYTES : (i + 1) * BLOCK_BYTES]
            self._remember(number + i, block)
            if self._cache is not None:
                self._cache.keep(number + i, block)
        self._next = number + count
        return data[:BLOCK_BYTES]

    def _find_block(self, number: int) -> bytes | None:
        block = self._blocks.get(number)
        if block is not None or self._cache is None:
            return block
        block = self._cache.find(number)
        # The digest of a block shows that it is whole, not that it has the size of this one.
        if block is None or len(block) != min(BLOCK_BYTES, self.size - number * BLOCK_BYTES):
            return None
        self._remember(number, block)
        return block

    def _remember(self, number: int, block: bytes) -> None:
        self._blocks[number] = block
        while len(self._blocks) > _IN_MEMORY:
            self._blocks.popitem(last=False)
