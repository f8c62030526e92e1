from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from nwb_dcf.config import PrepareConfig
from nwb_dcf.data import gaussian_filter
from nwb_dcf.data.preprocessing import Preprocessor, check_size, fit_preprocessor, is_count
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError, ParameterError

PLAIN = {"transformation": "none", "smooth": 0, "scale": "none"}


def record(
    data: object,
    *,
    step_s: float = 0.1,
    lengths: tuple[int, ...] | None = None,
    time: object = None,
    **settings: object,
) -> xr.Dataset:
    values = np.asarray(data, float)
    index = np.repeat(np.arange(len(lengths)), lengths) if lengths else np.zeros(len(values), int)
    clock = 1e6 + np.arange(len(values)) * step_s + index if time is None else np.asarray(time, float)
    return make_recording(values, clock, segment_index=index, **settings)  # type: ignore[arg-type]


def prepare(recording: xr.Dataset, **settings: object) -> np.ndarray:
    config = PrepareConfig(**{**PLAIN, **settings})  # type: ignore[arg-type]
    return np.asarray(fit_preprocessor(recording, config).apply(recording)["data"].values)


def test_square_root_of_counts() -> None:
    x = record([[0, 4], [1, 9], [16, 25]], units="count")
    np.testing.assert_allclose(prepare(x, transformation="sqrt"), [[0, 2], [1, 3], [4, 5]])
    np.testing.assert_allclose(prepare(x, transformation="auto"), [[0, 2], [1, 3], [4, 5]])
    np.testing.assert_allclose(prepare(x, transformation="none"), [[0, 4], [1, 9], [16, 25]])


def test_values_that_are_no_counts_are_left_as_they_are() -> None:
    x = record([[0.5, -4], [1, 9], [16, 25]])
    assert not is_count(x)
    preparation = fit_preprocessor(x, PrepareConfig())
    assert (preparation.transform, preparation.smooth_s) == ("none", 0)


@pytest.mark.parametrize(
    ("settings", "smooth_s"), [({"units": "count"}, 0.2), ({"units": "count", "kind": "units"}, 0.04), ({}, 0.0)]
)
def test_how_much_is_smoothed_follows_the_kind_of_data(settings: dict[str, str], smooth_s: float) -> None:
    x = record([[0, 4], [1, 9], [16, 25]], **settings)
    assert fit_preprocessor(x, PrepareConfig()).smooth_s == pytest.approx(smooth_s)
    assert fit_preprocessor(x, PrepareConfig(smooth=0.3)).smooth_s == 0.3


def test_square_root_of_negative_values_is_refused() -> None:
    x = record([[1, -4], [1, 9]], source={"path": "/acquisition/x"})
    with pytest.raises(DataError, match=r"/acquisition/x: .*negative.*-4.*`transformation='none'`"):
        fit_preprocessor(x, PrepareConfig(transformation="sqrt"))


def test_an_impulse_becomes_a_gaussian() -> None:
    values = np.zeros((101, 2))
    values[50, 1] = 1
    smoothed = prepare(record(values, step_s=0.02), smooth=0.1)
    expected = np.exp(-0.5 * (np.arange(-20, 21) * 0.02 / 0.1) ** 2)
    np.testing.assert_allclose(smoothed[30:71, 1], expected / expected.sum(), atol=1e-6)
    assert smoothed[:30].max() == smoothed[71:].max() == 0  # cut off at four standard deviations


def test_smoothing_a_constant_changes_nothing_at_the_edges_either() -> None:
    values = np.column_stack([np.full(12, 3.0), np.arange(12)])
    smoothed = prepare(record(values, lengths=(5, 7)), smooth=0.3)
    np.testing.assert_allclose(smoothed[:, 0], 3, rtol=1e-6)


@pytest.mark.parametrize("irregular", [False, True])
def test_smoothing_never_crosses_segments(irregular: bool) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(24, 3))
    time = np.arange(24) * 0.1 + (rng.uniform(0, 0.06, 24) if irregular else 0)
    changed = values.copy()
    changed[10:] += 100
    one, two = (prepare(record(v, lengths=(10, 14), time=time), smooth=0.3) for v in (values, changed))
    np.testing.assert_array_equal(one[:10], two[:10])
    assert np.abs(one[10:] - two[10:]).min() > 50
    alone = prepare(record(values[:10], time=time[:10]), smooth=0.3)
    np.testing.assert_allclose(one[:10], alone, rtol=1e-6)


def test_an_irregular_clock_agrees_with_a_regular_one() -> None:
    values = np.random.default_rng(0).normal(size=(60, 2))
    time = np.arange(60) * 0.1
    regular = prepare(record(values, time=time), smooth=0.25)
    time[30] += 0.0015  # more than a clock may waver, less than would move a value
    np.testing.assert_allclose(prepare(record(values, time=time), smooth=0.25), regular, atol=0.005)


def test_weights_of_an_irregular_clock_by_hand() -> None:
    smoothed = prepare(record([[0.0, 1], [1, 1], [0, 1]], time=[0, 1, 3]), smooth=1.0)
    w = np.exp(-0.5 * np.array([0, 1, 4, 9]))
    expected = [w[1] / (w[0] + w[1] + w[3]), w[0] / (w[1] + w[0] + w[2]), w[2] / (w[3] + w[2] + w[0])]
    np.testing.assert_allclose(smoothed[:, 0], expected, rtol=1e-6)
    far = prepare(record([[0.0, 1], [1, 1], [0, 1]], time=[0, 1, 6]), smooth=1.0)
    assert far[2, 0] == 0  # five seconds lie beyond four standard deviations


def test_scales_by_hand() -> None:
    x = record([[0, 0, 5], [2, 6, 5]])  # standard deviations 1, 3, 0
    values = x["data"].values
    np.testing.assert_allclose(prepare(x, scale="global"), values / np.sqrt((1 + 9) / 3), rtol=1e-6)
    np.testing.assert_allclose(prepare(x, scale="soft"), values / [3, 5, 2], rtol=1e-6)
    np.testing.assert_allclose(prepare(x, scale="zscore"), [[-1, -1, 0], [1, 1, 0]], rtol=1e-6)
    np.testing.assert_allclose(prepare(x, scale="none"), values)


def test_global_scale_makes_the_mean_variance_one() -> None:
    x = record(np.random.default_rng(0).normal(size=(300, 4)) * [1e-3, 5e-3, 1e-4, 2e-3])
    assert prepare(x, scale="global").var(0).mean() == pytest.approx(1, rel=1e-5)


def test_statistics_are_those_of_what_was_fitted() -> None:
    training, other = record([[0.0, 0], [2, 6]]), record([[100.0, 4], [300, 8]])
    preparation = fit_preprocessor(training, PrepareConfig(**{**PLAIN, "scale": "zscore"}))  # type: ignore[arg-type]
    np.testing.assert_allclose(preparation.apply(other)["data"], [[99, 1 / 3], [299, 5 / 3]], rtol=1e-6)


@pytest.mark.parametrize("scale", ["global", "soft", "zscore", "none"])
@pytest.mark.parametrize("transform", ["sqrt", "none"])
def test_undo_goes_back_to_the_data(scale: str, transform: str) -> None:
    x = record(np.random.default_rng(0).poisson(3, (50, 4)), units="count")
    preparation = fit_preprocessor(x, PrepareConfig(transformation=transform, smooth=0, scale=scale))  # type: ignore[arg-type]
    np.testing.assert_allclose(preparation.undo(preparation.apply(x)["data"].values), x["data"], atol=1e-4)


def test_negative_square_roots_become_zero_counts() -> None:
    preparation = Preprocessor("sqrt", 0, "none", np.ones(2), np.zeros(2))
    np.testing.assert_allclose(preparation.undo(np.array([[-2.0, 3.0]])), [[0, 9]])


def test_preparation_survives_json() -> None:
    x = record(np.random.default_rng(0).poisson(3, (50, 4)), units="count")
    preparation = fit_preprocessor(x, PrepareConfig(scale="zscore"))
    again = Preprocessor.from_dict(json.loads(json.dumps(preparation.to_dict())))
    xr.testing.assert_identical(again.apply(x), preparation.apply(x))


def test_every_step_is_logged_and_the_recording_left_alone() -> None:
    x = record(np.random.default_rng(0).poisson(3, (50, 4)), units="count")
    before = x.copy(deep=True)
    prepared = fit_preprocessor(x, PrepareConfig()).apply(x)
    xr.testing.assert_identical(x, before)
    assert x.attrs["steps"] == []
    assert [step["step"] for step in prepared.attrs["steps"]] == ["transform", "smooth", "scale"]
    assert prepared.attrs["steps"][1]["sigma_s"] == pytest.approx(0.2)
    assert prepared["data"].dtype == np.float32
    xr.testing.assert_identical(prepared["time"], x["time"])


def test_other_channels_than_those_fitted_are_refused() -> None:
    preparation = fit_preprocessor(record(np.eye(4)), PrepareConfig())
    with pytest.raises(DataError, match="3 channels and the model 4"):
        preparation.apply(record(np.eye(3)))


def test_constant_data_are_refused() -> None:
    with pytest.raises(DataError, match=r"/units: every channel is constant"):
        fit_preprocessor(record(np.ones((5, 3)), source={"path": "/units"}), PrepareConfig())


def test_what_is_too_small_for_the_dimension_is_refused() -> None:
    varied = np.random.default_rng(0).normal(size=(20, 4))
    varied[:, 3] = 2
    check_size(record(varied), 3)
    with pytest.raises(ParameterError, match=r"dim is 4, above the 3 usable channels.*`dim=3`"):
        check_size(record(varied), 4)
    with pytest.raises(DataError, match="1 usable"):
        check_size(record(varied[:, 2:]), 1)
    with pytest.raises(DataError, match="no segment has two frames"):
        check_size(record(varied[:3], lengths=(1, 1, 1)), 2)


@pytest.mark.parametrize("by_transforms", [False, True])
@pytest.mark.parametrize(("n", "sigma"), [(1, 2.0), (2, 5.0), (40, 3.0), (1000, 2.0), (300, 130.0)])
@pytest.mark.parametrize("frame", [(), (2, 2)])
def test_the_gaussian_is_its_definition(
    n: int, sigma: float, frame: tuple[int, ...], by_transforms: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaussian_filter, "LONG_REACH", 0 if by_transforms else n)
    values = np.random.default_rng(0).poisson(0.5, (n, *frame)).astype(float)
    apart = np.arange(n)[:, None] - np.arange(n)
    reach = min(int(4 * sigma + 0.5), n - 1)
    weights = np.where(np.abs(apart) <= reach, np.exp(-0.5 * (apart / sigma) ** 2), 0)
    weights /= np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2).sum()
    expected = np.tensordot(weights, values, 1)
    np.testing.assert_allclose(gaussian_filter.filter_gaussian(values, sigma), expected, rtol=1e-9, atol=1e-12)
