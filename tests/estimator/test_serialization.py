from __future__ import annotations

import json
import pickle
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import safetensors.torch

from nwb_dcf import DCF
from nwb_dcf.errors import StoreError
from nwb_dcf.estimator.serialization import FORMAT, pack_weights, unpack_weights

from .test_dcf import QUICK, draw_data


@pytest.fixture(scope="module")
def packed() -> bytes:
    return pack_weights(DCF(2, **{**QUICK, "steps": 3}).fit(draw_data(100)).fitted_)


def change(packed: bytes, **values: Any) -> bytes:
    """The same tensors with other words about them; None takes a word away."""
    length = int.from_bytes(packed[:8], "little")
    about = json.loads(json.loads(packed[8 : 8 + length])["__metadata__"]["nwb_dcf"])
    about = {name: value for name, value in {**about, **values}.items() if value is not None}
    return safetensors.torch.save(safetensors.torch.load(packed), metadata={"nwb_dcf": json.dumps(about)})


def test_everything_comes_back(packed: bytes) -> None:
    fitted = unpack_weights(packed)
    again = unpack_weights(pack_weights(fitted))
    for name, tensor in fitted.model.state_dict().items():
        np.testing.assert_array_equal(again.model.state_dict()[name], tensor)
    for one, other in ((again.curve, fitted.curve), (again.search, fitted.search)):
        assert fields(one) == fields(other)
        for field in fields(one):  # NaN where one of the flows takes no more steps
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
    assert len(fitted.search.held_out_step) > 0
    assert (again.channels, again.timing, again.machine) == (fitted.channels, fitted.timing, fitted.machine)
    np.testing.assert_array_equal(again.preparation.factor, fitted.preparation.factor)
    assert not fitted.model.training


def test_any_reader_of_safetensors_can_list_them(packed: bytes) -> None:
    names = set(safetensors.torch.load(packed))
    assert {"coupling.axes", "coupling.log_variance", "coupling.mean", "u.network.last.weight", "v.ridge"} <= names


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: b"",
        lambda packed: packed[:100],
        lambda packed: packed[:-10],
        lambda packed: b"\xff" * 200,
        lambda packed: pickle.dumps({"weights": 1}),
        lambda packed: safetensors.torch.save(safetensors.torch.load(packed)),
        lambda packed: change(packed, config=None),
        lambda packed: change(packed, k_max=5),
        lambda packed: change(packed, channels=None),
        lambda packed: change(packed, preparation={}),
    ],
)
def test_damaged_bytes_are_refused(packed: bytes, damage: Any) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        unpack_weights(damage(packed))


def test_a_newer_format_is_refused_with_the_way_out(packed: bytes) -> None:
    with pytest.raises(StoreError, match="newer nwb_dcf; upgrade"):
        unpack_weights(change(packed, format=FORMAT + 1))


def test_its_text_says_how_it_was_made_and_what_it_was_fitted_to(packed: bytes) -> None:
    assert repr(DCF(2, seed=4)) == "DCF(dim=2, seed=4)"
    read = DCF.from_bytes(packed)
    text = repr(read)
    n_channels = len(read.fitted_.channels)
    assert text.endswith(f", fitted: 2 latents of {n_channels} channels")
    assert len(text) < 250  # and not every setting
    shown = read._repr_mimebundle_()
    assert shown["text/plain"] == text
    assert f"<td>2 latents of {n_channels} channels</td>" in shown["text/html"]
