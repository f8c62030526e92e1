"""The page around the pictures: what looked wrong when the data were read stands above all else."""

from __future__ import annotations

import dataclasses

import numpy as np

from nwb_dcf.plots.html import describe_fit, lay_out_page, list_doubts
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
