"""Power in bands: known sinusoids, blocks that change nothing, edges, gaps, faults."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynwb.ecephys import LFP, ElectricalSeries
from scipy.signal import firwin, hilbert

from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.io.recordings import lfp_power as module
from nwb_dcf.io.recordings import list_sources, read_recording
from nwb_dcf.io.recordings.filter_bank import design_filters
from nwb_dcf.io.recordings.lfp_power import parse_bands
from tests.nwb_files import add_trials, new_nwbfile, write_nwbfile


def make_lfp(path, data, *, raw=None, trials=None, **settings):
    nwbfile = new_nwbfile()
    group = nwbfile.create_electrode_group("shank", "", "", device=nwbfile.create_device("probe"))
    for i in range(data.shape[1]):
        nwbfile.add_electrode(location="CA1", group=group, id=40 + i)
    region = nwbfile.create_electrode_table_region(list(range(data.shape[1])), "all")
    clock = {} if "timestamps" in settings else {"rate": 500.0}
    series = ElectricalSeries(name="lfp", data=data, electrodes=region, **{**clock, **settings})
    nwbfile.create_processing_module("ecephys", "").add(LFP(electrical_series=series))
    if raw is not None:
        nwbfile.add_acquisition(ElectricalSeries(name="a_raw", data=raw, electrodes=region, rate=20000.0))
    if trials is not None:
        add_trials(nwbfile, trials)
    return write_nwbfile(nwbfile, path)


def make_tones(seconds=20.0, rate=500.0, seed=0):
    """A 6 Hz tone that stops half-way, 20 Hz that starts there, noise, and an offset."""
    time = np.arange(round(seconds * rate)) / rate
    early = time < seconds / 2
    first = np.where(early, 2.0, 0.02) * np.sin(2 * np.pi * 6 * time) + 5
    second = np.where(early, 0.01, 0.5) * np.cos(2 * np.pi * 20 * time)
    return np.column_stack([first, second]) + 1e-4 * np.random.default_rng(seed).normal(size=(len(time), 2))


def test_power_of_tones(tmp_path):
    path = make_lfp(tmp_path / "s.nwb", make_tones(), conversion=1e-3, starting_time=100.0)
    recording = read_recording(path, bands="4-8,15-25", power_rate_hz=10)
    assert recording["channel"].values.tolist() == ["40:4-8", "40:15-25", "41:4-8", "41:15-25"]
    assert recording.attrs["kind"] == "lfp"
    assert recording["data"].attrs["units"] == "dB re 1 volts^2"
    np.testing.assert_allclose(np.diff(recording["time"]), 0.1)
    power = 10 ** (recording["data"] / 10)
    early, late = power.sel(time=slice(102, 108)), power.sel(time=slice(112, 118))
    # A tone of amplitude a has power a^2 / 2; conversion makes volts of millivolts.
    np.testing.assert_allclose(early.sel(channel="40:4-8"), 2.0e-6, rtol=2e-3)
    np.testing.assert_allclose(late.sel(channel="40:4-8"), 2.0e-10, rtol=5e-3)
    np.testing.assert_allclose(late.sel(channel="41:15-25"), 0.125e-6, rtol=2e-3)
    assert (late.sel(channel="40:15-25") < 1e-13).all()  # nothing of the 6 Hz tone, and nothing of the offset
    assert recording.attrs["source"]["channel_rows"] == [0, 0, 1, 1]
    notes = " ".join(recording.attrs["notes"])
    assert "2 bands (4-8, 15-25 Hz) of 2 electrodes in dB, averaged in bins of 100 ms" in notes


def test_the_middle_of_a_change_is_where_it_was(tmp_path):
    recording = read_recording(make_lfp(tmp_path / "s.nwb", make_tones()), bands="15-25", power_rate_hz=50)
    tone = recording["data"].sel(channel="41:15-25").values
    half = recording["time"].values[np.flatnonzero(10 ** (tone / 20) > 0.5 * 10 ** (tone[-1] / 20))[0]]
    assert abs(half - 10.0) < 0.04  # filters have no delay


@pytest.mark.parametrize("rate", [500.0, 2000.0, 1234.5])
def test_blocks_change_nothing(tmp_path, monkeypatch, rate):
    rng = np.random.default_rng(1)
    data = np.cumsum(rng.normal(size=(round(15 * rate), 3)), axis=0)
    path = make_lfp(tmp_path / "s.nwb", data, rate=rate)
    whole = read_recording(path)
    sizes = []
    measure = module.measure_bins
    monkeypatch.setattr(module, "measure_bins", lambda *given: sizes.append(given[-1] - given[-2]) or measure(*given))
    monkeypatch.setattr(module, "BLOCK_VALUES", 700)
    cut = read_recording(path)
    assert len(sizes) > 10
    np.testing.assert_array_equal(cut["time"], whole["time"])
    np.testing.assert_allclose(cut["data"], whole["data"], atol=1e-4)  # dB


@settings(max_examples=15, deadline=None)
@given(st.integers(300, 3000), st.integers(1, 40), st.integers(1, 60), st.integers(1, 25))
def test_down_sampling_in_blocks_equals_all_at_once(rate, first, count, block):
    filters = design_filters(float(rate), [(2.0, 6.0), (6.0, 9.0)])
    signal = np.random.default_rng(rate).normal(size=(filters.reach * 2 + (first + count) * filters.factor + 1, 2))
    read = lambda a, b: signal[a + filters.reach : b + filters.reach].T  # noqa: E731
    at_once = filters.downsample(read, first, first + count, 10**6)
    np.testing.assert_allclose(filters.downsample(read, first, first + count, block), at_once, atol=1e-12)
    # And one output equals the plain convolution of all stages.
    values, centre = signal[:, 0], first * filters.factor + filters.reach
    for stage in filters.stages:
        full = np.convolve(values, stage.taps, mode="same")
        values, centre = full[centre % stage.factor :: stage.factor], centre // stage.factor
    assert at_once.shape == (2, count)
    assert values[centre] == pytest.approx(at_once[0, 0], abs=1e-9)


def test_power_is_that_of_the_whole_array_filtered_at_once(tmp_path):
    """An oracle of its own: a band-pass at the full rate over the whole signal, its Hilbert envelope, averaged."""
    rng = np.random.default_rng(2)
    rate, seconds = 1000.0, 30
    data = rng.normal(size=(int(rate * seconds), 1))
    recording = read_recording(make_lfp(tmp_path / "s.nwb", data, rate=rate), bands="10-20", power_rate_hz=5)
    taps = firwin(865, [10, 20], window=("kaiser", 6.755), pass_zero=False, fs=rate)  # transitions of 5 Hz
    power = np.abs(hilbert(np.convolve(data[:, 0], taps, mode="same"))) ** 2 / 2
    first = np.round((recording["time"].values - 0.1) * rate).astype(int)
    bins = np.array([power[i : i + 200].mean() for i in first])
    measured = 10 ** (recording["data"].values[:, 0] / 10)
    np.testing.assert_allclose(measured, bins, atol=0.01 * bins.max())
    np.testing.assert_allclose(measured.mean(), bins.mean(), rtol=0.01)


def test_trials_and_gaps(tmp_path):
    tones = make_tones()
    whole = read_recording(make_lfp(tmp_path / "a.nwb", tones), bands="4-8,15-25")
    path = make_lfp(tmp_path / "b.nwb", tones, trials=[(3, 5), (12, 14.5)])
    trials = read_recording(path, bands="4-8,15-25")
    assert trials.sizes["segment"] == 2
    assert trials.sizes["time"] == 90
    np.testing.assert_allclose(trials["data"], whole["data"].sel(time=trials["time"].values), atol=1e-4)

    times = np.arange(10000) / 500
    times[4000:] += 60  # a pause of a minute
    gap = read_recording(make_lfp(tmp_path / "c.nwb", tones, timestamps=times), bands="4-8,15-25")
    assert gap.sizes["segment"] == 2
    reach = design_filters(500.0, ((4, 8), (15, 25))).reach / 500
    inside = gap["time"].values
    assert not ((inside > 8 - reach) & (inside < 68 + reach)).any()
    before = inside < 8
    np.testing.assert_allclose(gap["data"][before], whole["data"].sel(time=inside[before]), atol=1e-4)


def test_dead_channels_and_missing_samples(tmp_path):
    data = np.column_stack([make_tones(), np.full(10000, 3.0), np.zeros(10000)])
    data[5000, 1] = np.nan
    recording = read_recording(make_lfp(tmp_path / "s.nwb", data), bands="15-25")
    assert recording["channel"].values.tolist() == ["40:15-25", "41:15-25"]
    assert {item["id"] for item in recording.attrs["left_out"]} == {"42:15-25", "43:15-25"}
    assert recording.sizes["segment"] == 2  # cut where the filters reach the missing sample
    reach = design_filters(500.0, ((15, 25),)).reach / 500
    assert not (np.abs(recording["time"] - 10) < reach).any()


def test_lfp_before_the_raw_signal_and_voltages_on_request(tmp_path):
    path = make_lfp(tmp_path / "s.nwb", make_tones(4), raw=np.zeros((100, 2)))
    catalog = list_sources(path)
    assert catalog.default == "/processing/ecephys/LFP/lfp"
    assert "/acquisition/a_raw" in catalog.why
    volts = read_recording(path, "lfp", bands="none")
    np.testing.assert_array_equal(volts["data"], make_tones(4))
    assert volts.attrs["kind"] == "series"


def test_bands_that_do_not_fit(tmp_path):
    path = make_lfp(tmp_path / "s.nwb", make_tones(rate=100.0), rate=100.0)
    recording = read_recording(path, power_rate_hz=10)
    assert recording.sizes["channel"] == 8
    assert "bands too high for 100 Hz are not read: 30-80 Hz" in recording.attrs["notes"]
    with pytest.raises(ParameterError, match=r"band 30-80 Hz does not fit a signal sampled at 100 Hz.*below 47.5"):
        read_recording(path, bands="30-80")
    with pytest.raises(ParameterError, match=r"power 200 times a second.*`power_rate_hz=`"):
        read_recording(path, bands="4-8", power_rate_hz=200)
    with pytest.raises(
        DataError, match=r"too short: the filters reach .* its longest interval without a gap is 1 s.*`bands=`"
    ):
        read_recording(make_lfp(tmp_path / "t.nwb", make_tones(1)))
    uneven = np.cumsum(np.where(np.arange(2000) < 1000, 0.002, 0.004))
    with pytest.raises(DataError, match="power needs even sampling"):
        read_recording(make_lfp(tmp_path / "u.nwb", make_tones(4), timestamps=uneven))


@pytest.mark.parametrize("text", ["8-4", "4", "0-4", "a-b", "4-8,", "4-nan", "-4-8"])
def test_invalid_bands_are_refused(text):
    with pytest.raises(ParameterError, match="is no band; write frequencies in Hz"):
        parse_bands(text)
