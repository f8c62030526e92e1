"""The page around the pictures: what looked wrong when the data were read stands above all else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nwb_dcf.plots.color import choose_coloring
from nwb_dcf.plots.html import describe_fit, lay_out_page, list_doubts
from nwb_dcf.plots.interactive import MOST_BUCKETS, _make_strips, _thin, build_latents
from tests.io.results.synthetic import make_result

DOUBT = "/units: all 700 spike times are whole numbers; likely <samples>: give --time-scale 1/30000"


def test_doubts_stand_above_the_facts() -> None:
    result = make_result(np.arange(8))
    notes = ["source is /units", f"doubt: {DOUBT}"]
    doubted = dataclasses.replace(result, provenance={**result.provenance, "notes": notes})
    assert list_doubts(doubted) == [DOUBT]
    page = lay_out_page("fit", describe_fit(doubted, "s.nwb"), ["<section>picture</section>"], doubts=[DOUBT])
    assert page.index("whole numbers") < page.index("<table>") < page.index("picture")
    assert "&lt;samples&gt;" in page


def test_a_page_without_doubts_says_none() -> None:
    result = make_result(np.arange(8))
    assert list_doubts(result) == []
    assert "Doubt" not in lay_out_page("fit", describe_fit(result, "s.nwb"), [])


def test_latents_to_zoom_in_keep_every_excursion_and_the_edges_of_segments() -> None:
    pytest.importorskip("plotly", reason="could not import plotly")
    result = make_result(np.arange(8))
    page = build_latents(result, "outcome").to_json()
    assert len(page) < 200_000
    values = np.zeros(100_000)
    values[54_321] = 9.0
    seen = _thin(values)
    assert len(seen) <= 2 * MOST_BUCKETS
    assert values[seen].max() == 9.0
    np.testing.assert_array_equal(_thin(np.zeros(50)), np.arange(50))


def test_strips_have_the_colours_of_groups_and_greys_in_turn() -> None:
    result = make_result(np.arange(8))
    data = result.dataset
    n = data.sizes["segment"]
    by_outcome = _make_strips(data, choose_coloring(data, "outcome"))
    assert [strip["name"] for strip in by_outcome] == [f"outcome {name}" for name in ("früh", "hit", "miss")]
    assert sum(len(strip["x"]) for strip in by_outcome) == 3 * n
    greys = _make_strips(data, choose_coloring(data, "time"))
    assert [strip["showlegend"] for strip in greys] == [False, False]
    np.testing.assert_allclose(np.asarray(greys[0]["x"])[:2], [data["segment_start"][0], data["segment_stop"][0]])
