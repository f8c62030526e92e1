import numpy as np
import pytest

from nwb_dcf.errors import DataError, SourceError
from nwb_dcf.io.recordings import match_units
from tests.nwb_files import make_series_session, make_spike_session, simulate_spike_times

TIMES = simulate_spike_times(4)


@pytest.fixture
def by_id(tmp_path):
    return make_spike_session(tmp_path / "ids.nwb", spike_times=TIMES, unit_ids=[10, 20, 30, 40])


@pytest.mark.parametrize("wanted", [[30, 10], ["30", "10"], [np.int64(30), np.int64(10)]])
def test_units_are_found_by_id(wanted, by_id):
    source, ids = match_units(by_id, wanted, [TIMES[2], TIMES[0]])
    assert ids.tolist() == [30, 10]
    assert source["channel_rows"] == [2, 0]
    assert (source["path"], source["type"]) == ("/units", "Units")


def test_names_go_before_ids(tmp_path):
    names = {"unit_name": ["c", "b", "a", "10"]}
    path = make_spike_session(tmp_path / "n.nwb", spike_times=TIMES, unit_ids=[10, 11, 12, 13], unit_columns=names)
    assert match_units(path, ["10", "a"], [TIMES[3], TIMES[2]])[1].tolist() == [13, 12]


@pytest.mark.parametrize(
    ("wanted", "times", "says"),
    [
        ([10, 50], TIMES[:2], "1 of 2 units are not in the file: 50"),
        ([10], [TIMES[0][:-1]], r"unit 10 has \d+ spikes in the sorting and \d+ in the file"),
        ([10], [TIMES[0] - 7.5], r"spikes of unit 10 are 7\.5 s later in the file; .*recording\.shift_times"),
        ([10], [TIMES[0] + 7.5], r"spikes of unit 10 are 7\.5 s earlier in the file"),
        ([10], [np.sort(np.random.default_rng(0).uniform(0, 30, len(TIMES[0])))], "are others in the file"),
    ],
)
def test_other_units_are_refused(wanted, times, says, by_id):
    with pytest.raises(DataError, match=says):
        match_units(by_id, wanted, times)


def test_rounding_to_samples_is_no_difference(by_id):
    rounded = [np.round(times * 30_000) / 30_000 for times in TIMES]
    assert match_units(by_id, [10, 20, 30, 40], rounded)[1].tolist() == [10, 20, 30, 40]


def test_names_that_are_not_unique_and_files_without_units(tmp_path):
    names = {"unit_name": ["a", "a", "b", "c"]}
    path = make_spike_session(tmp_path / "twice.nwb", spike_times=TIMES, unit_columns=names)
    with pytest.raises(DataError, match="unit ids are not unique"):
        match_units(path, ["a"], [TIMES[0]])
    with pytest.raises(SourceError, match="the file has no units"):
        match_units(make_series_session(tmp_path / "series.nwb"), ["a"], [TIMES[0]])
