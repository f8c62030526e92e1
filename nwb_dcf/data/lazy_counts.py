"""Counts that are made when they are asked for: a recording of spikes whose values nobody has looked at holds none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

from .spike_trains import BinnedTrains

if TYPE_CHECKING:
    from jaxtyping import Float32, Int


class LazyCounts(BackendArray):
    """Spikes of some units in bins, as an array (time, unit) for xarray, which asks for parts of it alone.

    Parameters
    ----------
    binned : BinnedTrains
    units : array of int, shape (unit,)
        Which of its units.
    """

    def __init__(self, binned: BinnedTrains, units: Int[np.ndarray, " unit"]) -> None:
        self.binned, self.units = binned, units
        self.shape = (int(binned.bins.n_bins.sum()), len(units))
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._count)

    def _count(self, key: tuple[Any, ...]) -> Float32[np.ndarray, "*part"]:
        time, unit = (np.arange(n)[one] for n, one in zip(self.shape, key, strict=True))
        everything = isinstance(key[0], slice) and len(time) == self.shape[0] and key[0].step in (None, 1)
        # the same bins in the same order need not be taken out of an array of them
        counts = self.binned.count(np.atleast_1d(self.units[unit]), None if everything else np.atleast_1d(time))
        return np.asarray(counts.reshape(np.shape(time) + np.shape(unit)))


def count_later(binned: BinnedTrains, units: Int[np.ndarray, " unit"]) -> indexing.LazilyIndexedArray:
    """Return the counts of some units as an array that counts nothing until its values are asked for."""
    return indexing.LazilyIndexedArray(LazyCounts(binned, units))
