from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from nwb_dcf import DCF
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.precision import FULL, in_full, multiply_in
from nwb_dcf.model.training import hardware
from nwb_dcf.model.training.hardware import choose_products, has_tiles

WIDE = {"width": 256, "encoder_width": 256}


@pytest.mark.parametrize(
    ("asked", "settings", "tiles", "expected"),
    [
        ("auto", {}, True, "float32"),
        ("auto", WIDE, True, "bfloat16"),
        ("auto", {"width": 256}, True, "bfloat16"),  # the encoder does not learn
        ("auto", {"width": 256, "train_encoder_with_flows": True}, True, "float32"),
        ("auto", WIDE, False, "float32"),
        ("full", WIDE, True, "float32"),
        ("reduced", {}, True, "bfloat16"),
        ("reduced", {}, False, "float32"),
    ],
)
def test_products_are_reduced_where_it_pays(
    make_model: Callable[..., DCFModel],
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    settings: dict[str, object],
    tiles: bool,
    expected: str,
) -> None:
    monkeypatch.setattr(hardware, "has_tiles", lambda: tiles)
    assert choose_products(make_model(torch.randn(50, 6), **settings), asked) == expected


def test_what_must_be_exact_is_so_within_and_nothing_stays_changed() -> None:
    seen = []
    look = in_full(lambda: seen.append(torch.get_float32_matmul_precision()))
    before = torch.get_float32_matmul_precision()

    def fail() -> None:
        with multiply_in("bfloat16"):
            seen.append(torch.get_float32_matmul_precision())
            look()
            seen.append(torch.get_float32_matmul_precision())
            raise RuntimeError("as expected")

    with pytest.raises(RuntimeError, match="as expected"):
        fail()
    assert seen == ["medium", FULL, "medium"]
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize(("products", "reduced"), [("float32", False), ("tf32", True)])
def test_convolutions_on_a_gpu_are_made_like_products_and_in_one_order(products: str, reduced: bool) -> None:
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic
    with multiply_in(products):
        assert (cudnn.allow_tf32, cudnn.deterministic) == (reduced, True)
    assert (cudnn.allow_tf32, cudnn.deterministic) == before == (True, False)


@pytest.mark.skipif(not has_tiles(), reason="this processor has no matrix tiles")
def test_a_fit_with_reduced_products_is_as_good_and_says_so() -> None:
    recording = simulate_reach(n_trials=20).recording
    fits = {
        asked: DCF(dim=3, steps=40, early_stopping=False, settings={"precision": asked}).fit(recording)
        for asked in ("full", "reduced")
    }
    assert {asked: fit.fitted_.machine["products"] for asked, fit in fits.items()} == {
        "full": "float32",
        "reduced": "bfloat16",
    }
    scores = {asked: fit.score(recording) for asked, fit in fits.items()}
    assert scores["reduced"] == pytest.approx(scores["full"], abs=0.005)
    axes = fits["reduced"].loadings_
    np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-5)
    latents = [fit.transform(recording)["data"].values for fit in fits.values()]
    assert np.abs(latents[0] - latents[1]).max() > 0  # it was not the same arithmetic
