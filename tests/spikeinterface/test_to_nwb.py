"""Latents into the file of their session: equal however they were made, and never into another one."""

from __future__ import annotations

import numpy as np
import pytest

import nwb_dcf
import nwb_dcf.spikeinterface
from nwb_dcf.config.presets import resolve_settings
from nwb_dcf.errors import DataError, DCFError, NotFittedError, SourceError
from nwb_dcf.pipeline.fit_recording import fit_recording, plan_recording
from nwb_dcf.spikeinterface import to_nwb
from tests.nwb_files import make_series_session

from .sessions import QUICK, make_analyzer, make_recording, make_sorting, write_nwb


@pytest.fixture
def session(tmp_path, sorting, recording):
    return write_nwb(tmp_path / "s.nwb", sorting, recording)


def test_analyzer_sorting_and_file_give_equal_latents(computed, sorting, recording, session):
    from_analyzer = np.concatenate(computed.get_extension("dcf_latents").get_data())
    from_file = nwb_dcf.fit_nwb(session, 3, bin_width_s=0.02, **QUICK).dataset
    np.testing.assert_allclose(from_file["latents"], from_analyzer, rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        from_file["time"], np.concatenate(computed.get_extension("dcf_latents").get_times()), rtol=0, atol=1e-9
    )
    counts = nwb_dcf.spikeinterface.from_sorting(sorting, recording)
    read, config, _ = resolve_settings(3, {**QUICK, "trials": "none"})
    plan = plan_recording(counts, config, held_out=0.2, read=read)
    from_sorting = fit_recording(plan)[1].dataset
    np.testing.assert_allclose(from_sorting["latents"], from_analyzer, rtol=0, atol=1e-6)


def test_the_estimator_alone_does_what_is_done_with_nothing_held_out(sorting, recording, session):
    counts = nwb_dcf.spikeinterface.from_sorting(sorting, recording)
    alone = nwb_dcf.DCF(3, settings=QUICK).fit(counts).transform(counts)["data"]
    extension = make_analyzer(sorting, recording).compute("dcf_latents", held_out=0, **QUICK)
    np.testing.assert_allclose(np.concatenate(extension.get_data()), alone, rtol=0, atol=1e-6)
    from_file = nwb_dcf.fit_nwb(session, 3, held_out=0, bin_width_s=0.02, **QUICK).dataset["latents"]
    np.testing.assert_allclose(from_file, alone, rtol=0, atol=1e-6)


def test_latents_go_into_the_file_with_links_to_its_units(computed, session):
    written = to_nwb(computed, session)
    assert (written.name, written.notes) == ("units_dim3", [])
    stored = nwb_dcf.read_result(session)
    np.testing.assert_array_equal(
        stored.dataset["latents"], np.concatenate(computed.get_extension("dcf_latents").get_data())
    )
    assert stored.dataset["unit"].values.tolist() == list(range(8))  # the file's ids
    assert stored.provenance["sorting"]["unit_ids"] == [f"u{i}" for i in range(8)]
    assert stored.provenance["source"]["path"] == "/units"
    model = nwb_dcf.DCF.from_result(stored)  # and the model takes what is read from the file
    again = model.transform(nwb_dcf.read_recording(session))
    np.testing.assert_allclose(again["data"], stored.dataset["latents"], rtol=0, atol=1e-6)


def test_units_in_another_order_are_found_by_id(computed, sorting, recording, tmp_path):
    turned = sorting.select_units(sorting.unit_ids[::-1])
    path = write_nwb(tmp_path / "turned.nwb", turned, recording, ids=[70, 60, 50, 40, 30, 20, 10, 0])
    to_nwb(computed, path, name="mine")
    assert nwb_dcf.read_result(path).dataset["unit"].values.tolist() == [0, 10, 20, 30, 40, 50, 60, 70]


def test_a_curated_sorting_is_refused_until_it_is_in_the_file(computed, recording, session, tmp_path):
    before = session.read_bytes()
    curated = computed.merge_units([["u0", "u1"]], new_unit_ids=["both"])
    with pytest.raises(DataError, match="1 of 7 units are not in the file: both; write this sorting"):
        to_nwb(curated, session)
    assert session.read_bytes() == before
    to_nwb(curated, write_nwb(tmp_path / "curated.nwb", curated.sorting, recording))
    to_nwb(computed.remove_units(["u2"]), session)  # the file may hold more units


def test_the_file_of_another_session_is_refused(computed, recording, tmp_path):
    other = write_nwb(tmp_path / "other.nwb", make_sorting((12.0, 8.0), seed=5), recording)
    with pytest.raises(DataError, match=r"unit u0 has \d+ spikes in the sorting and \d+ in the file"):
        to_nwb(computed, other)


def test_a_file_on_another_clock_is_refused(computed, sorting, tmp_path):
    path = write_nwb(tmp_path / "late.nwb", sorting, make_recording((12.0, 8.0), (110.0, 210.0)))
    with pytest.raises(DataError, match="spikes of unit u0 are 10 s later in the file"):
        to_nwb(computed, path)


def test_segments_that_overlap_have_no_place_in_a_file(tmp_path):
    sorting, recording = make_sorting((6.0, 6.0)), make_recording((6.0, 6.0))
    analyzer = make_analyzer(sorting, recording)
    analyzer.compute("dcf_latents", **QUICK)
    assert [t[0] for t in analyzer.get_extension("dcf_latents").get_times()] == [0.01, 0.01]
    with pytest.raises(DataError, match=r"segments 0 and 1 overlap in time .* recording.shift_times"):
        to_nwb(analyzer, tmp_path / "s.nwb")


def test_segments_are_written_in_order_of_time(tmp_path):
    sorting, recording = make_sorting((6.0, 4.0)), make_recording((6.0, 4.0), (500.0, 20.0))
    analyzer = make_analyzer(sorting, recording)
    analyzer.compute("dcf_latents", **QUICK)
    path = write_nwb(tmp_path / "s.nwb", sorting, recording, observed=False)
    to_nwb(analyzer, path)
    stored = nwb_dcf.read_result(path).dataset
    assert (np.diff(stored["time"]) > 0).all()
    first, second = analyzer.get_extension("dcf_latents").get_data()
    np.testing.assert_array_equal(stored["latents"], np.concatenate([second, first]))
    assert stored["trial_si_segment"].values.tolist() == [1, 0]


def test_what_is_not_there_is_said(analyzer, computed, tmp_path):
    with pytest.raises(NotFittedError, match="the analyzer has no latents"):
        to_nwb(analyzer, tmp_path / "s.nwb")
    with pytest.raises(SourceError, match="the file has no units"):
        to_nwb(computed, make_series_session(tmp_path / "series.nwb"))
    with pytest.raises(DCFError, match="no such file"):
        to_nwb(computed, tmp_path / "absent.nwb")
