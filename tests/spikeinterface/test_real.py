"""A real sorting: rodent on a linear track, spike times on a grid of 30 kHz, a session that starts at 4,397 s."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from spikeinterface.core import generate_recording
from spikeinterface.extractors import read_nwb_sorting

import nwb_dcf
import nwb_dcf.spikeinterface
from nwb_dcf.errors import DataError
from nwb_dcf.spikeinterface import plot_dcf_latents, tabulate_units

from .sessions import QUICK, make_analyzer

START_S, RATE_HZ, DURATION_S = 4397.0, 30_000.0, 1969.0


@pytest.fixture
def path(real_data):
    return real_data("linear_track.nwb")


@pytest.fixture
def recording():
    stand_in = generate_recording(1, RATE_HZ, [DURATION_S], seed=0)  # made when it is read, which it never is
    stand_in.shift_times(START_S)
    return stand_in


def test_a_sorting_from_a_file_goes_the_way_of_the_file(path):
    found = nwb_dcf.spikeinterface.from_sorting(read_nwb_sorting(path, sampling_frequency=RATE_HZ))
    expected = nwb_dcf.read_recording(path)
    assert found.drop_attrs(deep=False).identical(expected.drop_attrs(deep=False))
    assert found.attrs["source"] == expected.attrs["source"]


def test_its_analyzer_counts_as_the_file_is_counted(path, recording):
    analyzer = make_analyzer(read_nwb_sorting(path, sampling_frequency=RATE_HZ, t_start=START_S), recording)
    found, expected = nwb_dcf.spikeinterface.from_analyzer(analyzer, extent="spikes"), nwb_dcf.read_recording(path)
    np.testing.assert_array_equal(found["data"], expected["data"])
    np.testing.assert_allclose(found["time"], expected["time"], rtol=0, atol=1e-6)
    assert found["unit"].values.tolist() == expected["unit"].values.tolist()


def test_a_recording_that_starts_elsewhere_is_refused(path):
    recording = generate_recording(1, RATE_HZ, [DURATION_S + 100], seed=0)
    recording.shift_times(START_S)
    analyzer = make_analyzer(read_nwb_sorting(path, sampling_frequency=RATE_HZ, t_start=START_S - 100), recording)
    with pytest.raises(DataError, match="one is shifted by 100 s"):
        nwb_dcf.spikeinterface.from_analyzer(analyzer)


def test_latents_of_a_real_sorting_and_their_pictures(path, recording, tmp_path):
    mpl.use("Agg")
    analyzer = make_analyzer(read_nwb_sorting(path, sampling_frequency=RATE_HZ, t_start=START_S), recording)
    analyzer.compute("dcf_latents", bin_width_s=0.5, smooth=0.5, **QUICK)
    extension = analyzer.get_extension("dcf_latents")
    assert extension.get_data().shape == (3938, 3)
    assert extension.get_times()[0] == START_S + 0.25
    assert tabulate_units(analyzer)["dcf_r2"].max() > 0.3
    plot_dcf_latents(analyzer, backend="matplotlib").figure.savefig(tmp_path / "space.png")
    assert (tmp_path / "space.png").stat().st_size > 10_000
    plot_dcf_latents(analyzer, backend="plotly", mode="time").figure.write_html(tmp_path / "time.html")
