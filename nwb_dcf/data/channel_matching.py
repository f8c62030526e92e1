"""Which channel of another recording stands for which channel of a model, and a recording put in that order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import xarray as xr

from ..errors import DataError, ParameterError
from .recording import CHANNEL_SOURCE, channel_dim, name_source, validate_recording
from .records import MatchingRecord

if TYPE_CHECKING:
    from jaxtyping import Real, Shaped

SHOWN = 8


class ChannelInfo(Protocol):
    """What is known of the channels of a source; see `nwb_dcf.io.recordings.ChannelTable`."""

    @property
    def where(self) -> str: ...
    @property
    def dim(self) -> str: ...
    @property
    def ids(self) -> list[int]: ...
    @property
    def columns(self) -> Mapping[str, Shaped[np.ndarray, " channel"]]: ...


@dataclass(frozen=True)
class Matching:
    """The channels of a model found in another recording.

    Attributes
    ----------
    by : tuple of str
        ``("id",)``, or the columns whose values name a channel.
    wanted : list
        Ids of the model's channels, in its order.
    here : list
        Id of each in the other recording; None where it is missing.
    """

    by: tuple[str, ...]
    wanted: list[Any]
    here: list[Any]

    @property
    def missing(self) -> list[Any]:
        """The model's ids of the channels that are not in the other recording."""
        return [wanted for wanted, here in zip(self.wanted, self.here, strict=True) if here is None]

    def to_dict(self) -> MatchingRecord:
        """Return a JSON-able dict."""
        return {"by": list(self.by), "model": self.wanted, "here": self.here}

    @classmethod
    def from_dict(cls, values: MatchingRecord) -> Self:
        """Make a matching from `to_dict`'s output."""
        return cls(tuple(values["by"]), values["model"], values["here"])

    def name_channels(self) -> list[Any]:
        """Ids in the other recording; as text with ``missing`` where any is."""
        if not self.missing:
            return self.here
        pairs = zip(self.wanted, self.here, strict=True)
        return [f"missing {wanted}" if here is None else str(here) for wanted, here in pairs]


def match_channels(
    wanted: Sequence[Any], there: ChannelInfo, known: ChannelInfo | None = None, by: str = "id", *, impute: bool = False
) -> Matching:
    """Find the channels of a model in another recording.

    Parameters
    ----------
    wanted : sequence
        Ids of the model's channels.
    there : ChannelTable
        The channels of the other recording.
    known : ChannelTable, optional
        Those of the recording that the model was fitted to; only ids can be matched without.
    by : str
        ``"id"``, or columns of both tables, separated by commas, whose values together name a channel:
        ``"unit_name"``, ``"location"``, ``"x,y,z"``.
    impute : bool
        Accept that channels are missing, as long as one is there.

    Raises
    ------
    ParameterError
        If a column does not exist.
    DataError
        If values do not name one channel each, or a channel is missing.

    Examples
    --------
    >>> from types import SimpleNamespace as Table
    >>> there = Table(where="b.nwb: /units", dim="unit", ids=[0, 1], columns={"name": np.array(["b", "a"])})
    >>> known = Table(where="a.nwb: /units", dim="unit", ids=[7, 9], columns={"name": np.array(["a", "b"])})
    >>> match_channels([7, 9], there, known, by="name").here
    [1, 0]
    """
    # one column need not name a channel: a site is known by its depth and shank together
    columns = tuple(part.strip() for part in by.split(",") if part.strip())
    if not columns:
        raise ParameterError("match is empty", fix="give id, or the columns that name a channel")
    by_id = columns == ("id",)
    if known is None and not by_id:
        raise DataError(
            f"the model's file no longer says what {by} its channels have: its source is not there",
            fix="match by id (--match id), or give the model as it lies in the file that was fitted",
        )
    name_of = {i: (i,) for i in wanted} if by_id or known is None else name_channels_by(known, columns)
    # a unit of the model that its own table no longer has is missing like any other
    names = [name_of.get(i) for i in wanted]
    # two channels of one name could be matched either way: refused rather than guessed
    _refuse_repeats([name for name in names if name is not None], columns, known or there)
    places: dict[tuple[Any, ...], list[Any]] = {}
    for i, name in name_channels_by(there, columns).items():
        places.setdefault(name, []).append(i)
    # once for each channel there of a name that is wanted: repeats among others do no harm
    _refuse_repeats([name for name in names if name for _ in places.get(name, [])], columns, there)
    here = [places[name][0] if name in places else None for name in names]
    found = Matching(columns, list(wanted), here)
    if (found.missing and not impute) or len(found.missing) == len(wanted):
        raise DataError(
            f"{len(found.missing)} of the model's {len(wanted)} {there.dim}s are missing, matched by {by}: "
            f"{_list_some(found.missing)}",
            where=there.where,
            fix="set them to the mean the model knows with --impute mean, or match otherwise with --match"
            if len(found.missing) < len(wanted)
            else "match otherwise with --match, or name another --source",
        )
    return found


def order_channels(recording: xr.Dataset, matching: Matching, means: Real[np.ndarray, " channel"]) -> xr.Dataset:
    """Put the channels of `recording` in the model's order and under the model's ids.

    Parameters
    ----------
    recording : xarray.Dataset
        Of the other session, without the channels that are constant there (those are in ``attrs["left_out"]``).
    matching : Matching
    means : array, shape (channel,)
        Values for channels that are missing, in the unit of the recording.

    Returns
    -------
    xarray.Dataset
        A recording of the model's channels.

    Raises
    ------
    DataError
        If a channel that was found could not be read.
    """
    dim = channel_dim(recording)
    values = recording["data"].values
    column = {i: k for k, i in enumerate(recording[dim].values.tolist())}
    left_out = recording.attrs["left_out"]
    constant = list_constant(recording)
    # float32 at least: the model's means are no integers
    ordered = np.empty((len(values), len(matching.wanted)), np.result_type(values.dtype, np.float32))
    for k, here in enumerate(matching.here):
        if here is None:
            ordered[:, k] = means[k]
        elif here in column:
            ordered[:, k] = values[:, column[here]]
        elif here in constant:  # a silent unit is there, and its count is 0
            ordered[:, k] = constant[here]
        else:
            why = next(
                (item["why"] for item in left_out if item["what"] == dim and item["id"] == here), "it was not read"
            )
            raise DataError(
                f"{dim} {here} cannot be used: {why}",
                where=name_source(recording),
                fix="read an interval in which it was observed",
            )
    gone = [name for name in recording.coords if dim in recording[name].dims]
    units = recording["data"].attrs
    renamed = recording.drop_vars(["data", *gone]).assign_coords({dim: np.asarray(matching.wanted)})
    filled = [here for here in matching.here if here in constant and here not in column]
    # that note speaks of channels left out, which are back here with their constant value
    notes = [note for note in recording.attrs["notes"] if f"{dim}s left out" not in note]
    if filled:
        notes.append(f"{len(filled)} {dim}s are silent or constant here and keep that value: {_list_some(filled)}")
    if matching.missing:
        notes.append(f"{len(matching.missing)} {dim}s missing, set to the model's mean: {_list_some(matching.missing)}")
    renamed.attrs["notes"] = notes
    if CHANNEL_SOURCE in recording.coords:
        # ids of joined sources begin with the label of their source
        renamed = renamed.assign_coords({CHANNEL_SOURCE: (dim, [str(i).rpartition("/")[0] for i in matching.wanted])})
    renamed.attrs["left_out"] = [
        item for item in left_out if "value" not in item or item.get("channel", item["id"]) not in filled
    ]
    return validate_recording(renamed.assign(data=(("time", dim), ordered, units)))


def list_constant(recording: xr.Dataset) -> dict[Any, float]:
    """Value of each channel that is left out because it is constant, by the id it would have."""
    dim = channel_dim(recording)
    items = [item for item in recording.attrs["left_out"] if "value" in item]
    return {
        item.get("channel", item["id"]): item["value"] for item in items if item["what"] == dim or "channel" in item
    }


def _list_some(items: Sequence[Any]) -> str:
    return ", ".join(map(str, items[:SHOWN])) + (f" and {len(items) - SHOWN} more" if len(items) > SHOWN else "")


def name_channels_by(table: ChannelInfo, columns: tuple[str, ...]) -> dict[Any, tuple[Any, ...]]:
    """Values that name each channel, by its id."""
    known = {"id": np.asarray(table.ids), **table.columns}
    unknown = [name for name in columns if name not in known]
    if unknown:
        raise ParameterError(
            f"its {table.dim}s have no column {', '.join(unknown)}",
            where=table.where,
            fix=f"columns are: {', '.join(sorted(known))}",
        )
    return dict(zip(table.ids, zip(*(known[name].tolist() for name in columns), strict=True), strict=True))


def _refuse_repeats(names: list[tuple[Any, ...]], columns: tuple[str, ...], table: ChannelInfo) -> None:
    name, n = max(Counter(names).items(), key=lambda item: item[1], default=((), 0))
    if n > 1:
        raise DataError(
            f"{n} {table.dim}s have the same {', '.join(f'{c} {v!r}' for c, v in zip(columns, name, strict=True))}",
            where=table.where,
            fix="match by columns that together name one each, as --match location,electrode",
        )
