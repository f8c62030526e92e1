from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from scipy import sparse

from nwb_dcf.data.arrays import as_recording
from nwb_dcf.data.recording import is_count, make_recording
from nwb_dcf.errors import DOUBT, DataError

X = np.random.default_rng(0).normal(size=(6, 3))
Z = np.arange(12.0).reshape(6, 2)
IDS = np.array([1, 2])


def make_dataarray(time: object = None, dims: tuple[str, str] = ("time", "unit")) -> xr.DataArray:
    coords = {"time": np.arange(6) * 0.5 + 100 if time is None else time, "unit": [7, 9, 4]}
    return xr.DataArray(X, dims=dims, coords=coords, attrs={"units": "mV"})


def test_an_array_is_one_segment_of_step_one() -> None:
    given = as_recording(X)
    np.testing.assert_array_equal(given.recording["time"], np.arange(6))
    np.testing.assert_array_equal(given.recording["segment_index"], 0)
    assert given.recording["data"].attrs["units"] == "a.u."
    assert given.answer(Z, "latent", IDS, "1") is Z


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_integers_are_counts(dtype: type) -> None:
    counts = np.ones((6, 3), dtype)
    assert as_recording(counts).recording["data"].attrs["units"] == "count"
    assert as_recording([counts, counts]).recording["data"].attrs["units"] == "count"
    assert as_recording(xr.DataArray(counts, dims=("time", "unit"))).recording["data"].attrs["units"] == "count"
    assert as_recording(counts.astype(float)).recording["data"].attrs["units"] == "a.u."


def test_a_dataarray_keeps_its_clock_ids_and_unit() -> None:
    given = as_recording(x := make_dataarray())
    np.testing.assert_array_equal(given.recording["time"], x["time"])
    np.testing.assert_array_equal(given.recording["unit"], [7, 9, 4])
    assert given.recording["data"].attrs["units"] == "mV"
    answer = given.answer(Z, "latent", IDS, "1/s")
    expected = xr.DataArray(
        Z, dims=("time", "latent"), coords={"time": x["time"], "latent": IDS}, attrs={"units": "1/s"}
    )
    xr.testing.assert_identical(answer, expected)


def test_a_dataarray_of_other_names_keeps_them() -> None:
    x = xr.DataArray(X, dims=("frame", "pixel"), coords={"frame": np.arange(6) * 10, "animal": "m1"})
    given = as_recording(x)
    np.testing.assert_array_equal(given.recording["time"], np.arange(6))
    answer = given.answer(Z, "latent", IDS, "1")
    assert answer.dims == ("frame", "latent")
    np.testing.assert_array_equal(answer["frame"], x["frame"])
    assert answer["animal"] == "m1"


def test_a_list_is_segments_and_its_answer_a_list() -> None:
    given = as_recording([X[:4], X[4:]])
    np.testing.assert_array_equal(given.recording["segment_index"], [0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(given.recording["data"], X)
    np.testing.assert_array_equal(np.diff(given.recording["time"]), 1)
    answer = given.answer(Z, "latent", IDS, "1")
    assert isinstance(answer, list)
    np.testing.assert_array_equal(answer[0], Z[:4])
    np.testing.assert_array_equal(answer[1], Z[4:])


def test_a_list_of_dataarrays_gives_dataarrays_on_their_own_clocks() -> None:
    x = make_dataarray()
    given = as_recording([x[:4], x[4:]])
    answer = given.answer(Z, "latent", IDS, "1")
    assert all(isinstance(part, xr.DataArray) for part in answer)
    np.testing.assert_array_equal(answer[1]["time"], x["time"][4:])
    np.testing.assert_array_equal(given.recording["time"], x["time"])


def test_a_list_may_mix_arrays_and_dataarrays() -> None:
    answer = as_recording([make_dataarray()[:4], X[4:]]).answer(Z, "latent", IDS, "1")
    assert isinstance(answer[0], xr.DataArray)
    assert isinstance(answer[1], np.ndarray)


def test_a_recording_gives_a_recording() -> None:
    x = make_recording(
        X, np.arange(6) / 10, channel_dim="unit", channel=[7, 9, 4], segment_index=np.array([0, 0, 0, 1, 1, 1]),
        trial_columns={"side": np.array(["l", "r"])}, kind="units", units="count",
    )  # fmt: skip
    given = as_recording(x)
    assert given.recording is x
    answer = given.answer(Z, "latent", IDS, "1")
    np.testing.assert_array_equal(answer["data"], Z)
    assert answer["data"].dims == ("time", "latent")
    assert answer["data"].attrs["units"] == "1"
    assert "unit" not in answer.dims
    for name in ("time", "segment_index", "segment_start", "trial_side"):
        xr.testing.assert_identical(answer[name].drop_vars(["latent"], errors="ignore"), x[name])


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ("text", "type str"),
        (None, "NoneType"),
        ([], "type list"),
        ([1.0, 2.0], r"shape \(\)"),
        (X[:, 0], r"\(6,\).*\(time, channel\)"),
        (X[None, None], r"\(1, 1, 6, 3\)"),
        ([X, X[:, :2]], "3 and 2.*same channels"),
        (np.empty((0, 3)), "no data"),
        (np.full((4, 2), np.nan), "8 values are NaN"),
        (np.array([[1.0, np.inf], [1, 2]]), "channel 1 at 0 s"),
        (np.array([["a", "b"]]), "not real numbers"),
        (np.ones((4, 2)) * 1j, "not real numbers"),
        (np.array([[None, 1]]), "1 values are NaN"),
        (xr.Dataset({"a": 1}), "no variable 'data'"),
        (make_dataarray(time=[0, 1, 2, 3, 3, 4]), "does not increase"),
        (make_dataarray().T, "time first"),
        ([make_dataarray()[:3], make_dataarray()[3:, ::-1]], "differ in their units"),
        (make_dataarray(time=np.arange(6).astype("M8[s]")), "datetime64.*seconds"),
    ],
)
def test_what_cannot_be_fitted_is_refused(x: object, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        as_recording(x)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_recordings_in_a_list_keep_their_segments_and_trials() -> None:
    parts = [
        make_recording(X + k, np.arange(6.0), segment_index=[0, 0, 0, 1, 1, 1], trial_columns={"side": ["l", "r"]})
        for k in range(2)
    ]
    given = as_recording(parts)
    assert given.recording.sizes == {"time": 12, "channel": 3, "segment": 4}
    assert given.recording["segment_index"].values.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert given.recording["trial_side"].values.tolist() == ["l", "r", "l", "r"]
    answers = given.answer(np.arange(24.0).reshape(12, 2), "latent", np.array([1, 2]), "1")
    assert [answer.sizes["segment"] for answer in answers] == [2, 2]
    np.testing.assert_array_equal(answers[1]["data"], np.arange(12.0, 24.0).reshape(6, 2))


def test_counts_and_other_values_do_not_mix_in_a_list() -> None:
    with pytest.raises(DataError, match="counts and other values"):
        as_recording([np.ones((4, 3), int), np.ones((4, 3))])


def test_the_data_of_a_recording_keep_their_segments() -> None:
    recording = make_recording(X, np.arange(6.0), segment_index=[0, 0, 0, 1, 1, 1])
    given = as_recording(recording["data"])
    np.testing.assert_array_equal(given.recording["segment_index"], [0, 0, 0, 1, 1, 1])


def test_durations_are_no_seconds() -> None:
    with pytest.raises(DataError, match=r"timedelta64.*seconds"):
        as_recording(make_dataarray(time=np.arange(6) * np.timedelta64(20, "ms")))


def test_masked_values_are_refused() -> None:
    with pytest.raises(DataError, match="masked"):
        as_recording(np.ma.masked_greater(X, 0))
    assert as_recording(np.ma.masked_array(X)).kind == "array"


@pytest.mark.parametrize(
    ("given", "doubted"),
    [
        (np.ones((8, 400)), True),
        (np.ones((8, 400)).tolist(), True),
        ([np.ones((8, 400)), np.ones((8, 400))], True),
        (xr.DataArray(np.ones((8, 400))), True),
        (np.ones((400, 8)), False),
        (np.ones((8, 8)), False),
        ([np.ones((8, 40))] * 10, False),  # short trials of many units
        (xr.DataArray(np.ones((8, 400)), dims=("time", "roi")), False),  # said to be so
    ],
)
def test_arrays_that_are_wider_than_long_are_doubted(given: object, doubted: bool) -> None:
    notes = as_recording(given).recording.attrs["notes"]  # type: ignore[arg-type]
    assert any(note.startswith(DOUBT) and "x.T" in note for note in notes) == doubted


def test_a_recording_that_is_wider_than_long_is_left_alone() -> None:
    recording = make_recording(np.ones((8, 400)), np.arange(8.0))
    assert as_recording(recording).recording.attrs["notes"] == []


def test_a_list_of_recordings_keeps_edges_of_segments_and_what_was_said_of_them() -> None:
    def make(start: float, note: str) -> xr.Dataset:
        return make_recording(
            np.ones((6, 3)), start + 0.01 + 0.02 * np.arange(6), channel_dim="unit", segment_start=[start],
            segment_stop=[start + 0.12], units="count", kind="units", bin_width_s=0.02, notes=["both", note],
            left_out=[{"what": "unit", "id": note, "why": "no spikes"}],
        )  # fmt: skip

    joined = as_recording([make(0.0, "first"), make(5.0, "second")]).recording
    np.testing.assert_allclose(joined["segment_start"], [0.0, 5.0])
    np.testing.assert_allclose(joined["segment_stop"], [0.12, 5.12])
    assert joined.attrs["notes"] == ["both", "first", "second"]
    assert [one["id"] for one in joined.attrs["left_out"]] == ["first", "second"]


def test_a_list_of_arrays_has_edges_that_follow_each_other() -> None:
    joined = as_recording([X, X]).recording
    np.testing.assert_array_equal(joined["segment_start"], [0, 6])
    np.testing.assert_array_equal(joined["segment_stop"], [5, 11])


def make_counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(2.0, (40, 5))


@pytest.mark.parametrize("as_spans", [False, True])
def test_the_times_of_a_dataframe_are_kept(as_spans: bool) -> None:
    time = 5 + 0.02 * np.arange(40)
    index = pd.to_timedelta(time, unit="s") if as_spans else pd.Index(time)
    table = pd.DataFrame(make_counts(), index=index, columns=list("abcde"))
    for given, n in ((table, 1), ([table, table.set_axis(table.index + table.index[-1], axis=0)], 2)):
        recording = as_recording(given).recording
        np.testing.assert_allclose(recording["time"].values[:40], time)
        assert recording.sizes["segment"] == n
        assert is_count(recording)


def test_row_labels_are_no_times() -> None:
    table = pd.DataFrame(make_counts(), index=np.arange(100, 140))
    np.testing.assert_array_equal(as_recording(table).recording["time"], np.arange(40.0))


def test_frames_of_pynapple_keep_their_times_and_intervals() -> None:
    nap = pytest.importorskip("pynapple", reason="could not import pynapple")
    time = np.concatenate([np.arange(20) * 0.1, 10 + np.arange(20) * 0.1])
    epochs = nap.IntervalSet(start=[0, 10], end=[2, 12])
    recording = as_recording(nap.TsdFrame(t=time, d=make_counts(), time_support=epochs)).recording
    np.testing.assert_allclose(recording["time"], time)
    np.testing.assert_array_equal(recording["segment_index"], np.repeat([0, 1], 20))


class Polars:
    """A table of polars, as NumPy sees it."""

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return make_counts()


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        (lambda: make_counts() > 1, r"of type bool, not real numbers; give 0 and 1 as counts, x\.astype\(int\)"),
        (lambda: torch.ones((40, 5), requires_grad=True), r"give one, of a torch tensor x\.detach\(\)\.cpu\(\)\.numpy"),
        (lambda: [torch.ones((40, 5), requires_grad=True)] * 2, r"x\.detach\(\)\.cpu\(\)\.numpy"),
        (lambda: sparse.csr_matrix(make_counts()), r"csr_matrix is sparse; give it as an array, x\.toarray\(\)"),
        (
            lambda: pd.DataFrame(make_counts(), index=pd.date_range("2026-01-01", periods=40)),
            "has dates; give seconds from the start",
        ),
    ],
)
def test_what_is_no_recording_is_refused_with_the_conversion(given: Callable[[], object], fix: str) -> None:
    with pytest.raises(DataError, match=fix):
        as_recording(given())


def test_tensors_and_other_tables_are_read_as_arrays() -> None:
    for given in (torch.tensor(make_counts()), Polars()):
        recording = as_recording(given).recording
        np.testing.assert_array_equal(recording["data"], make_counts())
        assert is_count(recording)
