"""The model in parts: every tensor in one of them, and the same bytes when joined."""

import json

import pytest
import safetensors.numpy

from nwb_dcf.errors import StoreError
from nwb_dcf.io.results.payload import join_weights, split_weights

from ...estimator.test_dcf import QUICK, make_spikes
from .synthetic import make_weights


def test_parts_are_safetensors_of_their_own_and_join_to_the_same_bytes() -> None:
    whole = make_weights()
    parts, architectures = split_weights(whole)
    assert {part: sorted(safetensors.numpy.load(data)) for part, data in parts.items()} == {
        "compressive_flow": ["u.last.bias", "u.last.weight"],
        "dynamical_flow": ["v.ridge"],
        "coupling": ["coupling.mean", "coupling.steps", "noise.seen"],
    }
    assert join_weights(parts) == whole
    described = json.loads(architectures["compressive_flow"])
    assert (described["symbol"], described["class"]) == ("u", "U")
    assert described["tensors"]["u.last.weight"] == {"dtype": "F32", "shape": [40, 3]}


def test_a_real_model_joins_to_the_same_bytes_and_says_what_it_computes() -> None:
    from nwb_dcf import DCF

    whole = DCF(2, **QUICK).fit(make_spikes()).to_bytes()
    parts, architectures = split_weights(whole)
    assert join_weights(parts) == whole
    dynamics = json.loads(architectures["dynamical_flow"])
    assert dynamics["class"].endswith("RidgeStartDynamics")
    assert "autoregression" in dynamics["description"]
    assert dynamics["settings"]["history"] == 3
    assert dynamics["tensors"]["v.ridge"]["shape"] == [4 * 6, 6, 6]


@pytest.mark.parametrize("data", [b"", b"w", b"\x05\0\0\0\0\0\0\0[1,2]", b"\x02\0\0\0\0\0\0\0{]"])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(StoreError, match="no safetensors bytes"):
        split_weights(data)
