from __future__ import annotations

import re
from pathlib import Path

import pytest

from nwb_dcf import cohort
from nwb_dcf.cli import main
from nwb_dcf.cohort.files import CohortResult
from nwb_dcf.errors import StoreError

pytest.importorskip("matplotlib", reason="could not import matplotlib")
pytest.importorskip("plotly", reason="could not import plotly")


@pytest.mark.long
def test_a_page_holds_everything_and_asks_for_nothing(
    fitted: CohortResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    page = tmp_path / "page.html"
    options = ["--against", "simulation/latents", "--compare", "outcome"]
    assert main(["cohort", "plot", fitted.output, "-o", str(page), *options]) == 0
    assert "3 sessions" in capsys.readouterr().out
    text = page.read_text()
    for heading in (
        "Condition means of all sessions, first 2 latents", "Session by session", "decoded across animals",
        "A new animal, by its coupling alone", "How alike conditions differ", "Fields by outcome: hit and miss",
    ):  # fmt: skip
        assert f"<h2>{heading}" in text or f"{heading}</h2>" in text, heading
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert outside.count("data:image/png;base64,") == 5
    assert not re.search(r"(src|href)=.?(https?:)?//", outside)
    assert "conditions differ in a common way" in outside
    with pytest.raises(StoreError, match="the output exists"):
        cohort.plot_cohort(fitted.output, output=page)


def test_names_out_of_a_file_are_text_on_the_page():
    import numpy as np

    from nwb_dcf.plots.cohort import CohortPicture
    from nwb_dcf.plots.cohort_page import write_cohort_page

    rng = np.random.default_rng(0)
    anchors = rng.normal(size=(2, 6, 3))
    picture = CohortPicture(
        ["<b>one</b>", "two"], ["<i>left</i>", "right"], ["", ""], np.arange(6.0), anchors, np.stack([anchors, anchors])
    )
    finding = {"severity": "good", "sentence": "<script>alert(1)</script>"}
    page = write_cohort_page(picture, "<b>title</b>", {"a": "<b>"}, [finding], [{"session": "<b>one</b>"}])
    assert "<script>alert" not in page
    assert '<td class="cell"><b>' not in page
