"""A fit in a few lines: its scores beside PCA's, names escaped in HTML, nothing that is not known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from nwb_dcf.data.result import DCFResult


@pytest.fixture
def result() -> DCFResult:
    dataset = xr.Dataset(
        {
            "latents": (("time", "latent"), np.zeros((2000, 3))),
            "mean": ("unit", np.zeros(40)),
            "segment_start": ("segment", np.zeros(7)),
        },
        attrs={
            "scores": {
                "bottleneck_r2": 0.4311, "pca_r2": 0.38, "on": "held-out data", "rollout": {"horizon": {"rollout": 0}},
            }
        },
    )  # fmt: skip
    source = {"file": "<b>s.nwb", "path": "/units"}
    return DCFResult(dataset, {}, {"source": source}, b"weights", "units_dim3")


def test_the_summary_sets_scores_beside_pca(result: DCFResult) -> None:
    assert result.summary().splitlines() == [
        "fit       units_dim3: 3 latents of 40 units",
        "source    /units of <b>s.nwb",
        "frames    2,000 in 7 segments",
        "R2        0.431 of held-out data; PCA 0.380",
        "rollouts  do not beat persistence",
    ]


def test_the_repr_is_one_short_line(result: DCFResult) -> None:
    assert repr(result) == "<DCFResult units_dim3: 3 latents of 40 units; frames: 2,000 in 7 segments>"


def test_names_are_escaped_in_html(result: DCFResult) -> None:
    page = result._repr_html_()
    assert "&lt;b&gt;s.nwb" in page
    assert "<b>" not in page
