"""Channels of a recording in the order of a model."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from nwb_dcf.data.channel_matching import Matching, order_channels
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError

LEFT_OUT = [
    {"what": "unit", "id": 4, "why": "no spike in the bins read", "value": 0.0},
    {"what": "trial", "id": 4, "why": "too short"},
    {"what": "unit", "id": 6, "why": "its obs_intervals are empty"},
]


def make_units() -> xr.Dataset:
    return make_recording(
        np.array([[1.0, 2.0], [3.0, 4.0]]), np.arange(2.0), channel_dim="unit", channel=[8, 2], units="count",
        kind="units", left_out=LEFT_OUT, notes=["2 units left out as silent: 4, 6", "read"],
    )  # fmt: skip


def test_channels_come_in_the_order_and_under_the_ids_of_the_model() -> None:
    ordered = order_channels(make_units(), Matching(("name",), [1, 2, 3, 9], [2, 4, 8, None]), np.full(4, 0.7))
    assert ordered["unit"].values.tolist() == [1, 2, 3, 9]
    np.testing.assert_allclose(ordered["data"], [[2, 0, 1, 0.7], [4, 0, 3, 0.7]])
    assert ordered["data"].attrs["units"] == "count"
    assert ordered.attrs["left_out"] == LEFT_OUT[1:]
    assert ordered.attrs["notes"] == [
        "read",
        "1 units are silent or constant here and keep that value: 4",
        "1 units missing, set to the model's mean: 9",
    ]


def test_a_channel_that_could_not_be_read_is_refused() -> None:
    with pytest.raises(DataError, match="unit 6 cannot be used: its obs_intervals are empty"):
        order_channels(make_units(), Matching(("id",), [8, 6], [8, 6]), np.zeros(2))


def test_channels_of_joined_sources_keep_their_source() -> None:
    joined = make_recording(
        np.array([[1.0, 2.0], [3.0, 4.0]]), np.arange(2.0), channel=np.array(["units/8", "hand/0"]),
        channel_source=["units", "hand"], kind="joined",
        source={"members": [{"label": "units"}, {"label": "hand"}]},
        left_out=[{"what": "unit", "id": 4, "why": "no spike", "value": 0.0, "channel": "units/4"}],
    )  # fmt: skip
    wanted = ["units/4", "units/8", "hand/0"]
    ordered = order_channels(joined, Matching(("id",), wanted, wanted), np.zeros(3))
    assert ordered["channel_source"].values.tolist() == ["units", "units", "hand"]
    np.testing.assert_array_equal(ordered["data"], [[0, 1, 2], [0, 3, 4]])


def test_names_of_channels_say_which_are_missing() -> None:
    assert Matching(("id",), [1, 2], [5, 6]).name_channels() == [5, 6]
    assert Matching(("id",), [1, 2], [5, None]).name_channels() == ["5", "missing 2"]
    matching = Matching(("x", "y"), [1, 2], [5, None])
    assert Matching.from_dict(matching.to_dict()) == matching
