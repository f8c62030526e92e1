import io
import json

import numpy as np
import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.io.results.payload import to_payload, to_result

from .synthetic import assert_same_result, make_result, make_weights

WEIGHTS = make_weights()
VERSIONS = {"schema_version": "1.0.0", "package_version": "0.1.0"}


@pytest.mark.parametrize("regular", [True, False])
@pytest.mark.parametrize("kind", ["units", "series"])
def test_payload_and_back_is_the_same_result(regular: bool, kind: str) -> None:
    result = make_result(np.array([4, 9, 2, 7]), regular=regular, kind=kind)
    assert_same_result(to_result(to_payload(result, **VERSIONS), name=""), result)


def test_one_regular_segment_has_a_rate_and_others_have_timestamps() -> None:
    regular = to_payload(make_result(np.arange(4), regular=True), **VERSIONS).arrays
    assert regular["latents/rate"] == 50.0
    assert "latents/timestamps" not in regular
    irregular = make_result(np.arange(4))
    arrays = to_payload(irregular, **VERSIONS).arrays
    assert "latents/rate" not in arrays
    np.testing.assert_array_equal(arrays["latents/timestamps"], irregular.dataset["time"])


def test_a_jittered_clock_is_never_flattened_to_a_rate() -> None:
    result = make_result(np.arange(4), regular=True)
    time = result.dataset["time"].values.copy()
    time[60] += 1e-6
    jittered = make_result(np.arange(4), regular=True)
    jittered = type(result)(jittered.dataset.assign_coords(time=time), result.config, result.provenance, result.weights)
    assert np.array_equal(to_payload(jittered, **VERSIONS).arrays["latents/timestamps"], time)


def test_names_of_channels_and_of_latents_come_back() -> None:
    result = make_result(np.array(["V1 left", "V1 right", "M1", "S1"]), kind="series")
    labelled = result.dataset.assign_coords(latent=[1, 2, 3])
    stored = to_result(to_payload(type(result)(labelled, {}, {}, WEIGHTS), **VERSIONS), name="x")
    assert stored.dataset["channel"].values.tolist() == ["V1 left", "V1 right", "M1", "S1"]
    assert stored.dataset["latent"].values.tolist() == [1, 2, 3]


def test_what_is_new_finds_its_place_by_its_dims() -> None:
    result = make_result(np.arange(4))
    extended = result.dataset.assign(
        residual=(("time", "latent"), np.ones((62, 3))),
        null_r2=("component", np.zeros(4)),
        loss_context=("step", np.ones(5)),
    )
    stored = to_result(to_payload(type(result)(extended, {}, {}, WEIGHTS), **VERSIONS), name="")
    for name in ("residual", "null_r2", "loss_context"):
        np.testing.assert_array_equal(stored.dataset[name], extended[name])


def test_what_has_no_place_is_refused() -> None:
    result = make_result(np.arange(4))
    extended = result.dataset.assign(cube=(("a", "b", "c"), np.ones((2, 2, 2))))
    with pytest.raises(StoreError, match="'cube'"):
        to_payload(type(result)(extended, {}, {}, WEIGHTS), **VERSIONS)
    with pytest.raises(StoreError, match="its weights"):
        to_payload(type(result)(result.dataset, {}, {}, b""), **VERSIONS)
    with pytest.raises(StoreError, match="no safetensors bytes"):
        to_payload(type(result)(result.dataset, {}, {}, b"weights"), **VERSIONS)
    with pytest.raises(StoreError, match="config cannot be written as JSON"):
        to_payload(type(result)(result.dataset, {"f": print}, {}, WEIGHTS), **VERSIONS)


def test_nothing_in_the_payload_is_pickled_and_json_is_strict() -> None:
    result = make_result(np.arange(4))
    objects = result.dataset.assign(trial_mixed=("segment", np.array([1, "a", None, 2.5, b"c", True], dtype=object)))
    objects.attrs["scores"] = {"r2": np.float32("nan"), "n": np.int64(3)}
    payload = to_payload(type(result)(objects, {}, {}, WEIGHTS), **VERSIONS)
    with np.load(io.BytesIO(payload.to_bytes()), allow_pickle=False) as stored:
        assert stored["segments/trial_mixed"].tolist() == ["1", "a", "None", "2.5", "c", "True"]

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    summary = json.loads(payload.texts["summary"], parse_constant=refuse)
    assert summary["scores"] == {"r2": None, "n": 3}


def test_sources_become_a_table_and_shares_a_column_of_axes() -> None:
    result = make_result(np.arange(4))
    members = [{"path": "/units", "type": "Units", "object_id": "1"}, {"path": "/v", "sha256": "2", "file": "s.nwb"}]
    shares = np.linspace(0, 1, 8).reshape(4, 2)
    extended = result.dataset.assign(source_share=(("component", "source"), shares))
    extended = extended.assign_coords(source=["units", "video"])
    extended.attrs["scores"] = {}
    joined = type(result)(extended, {}, {"source": {"members": members}}, WEIGHTS)
    payload = to_payload(joined, **VERSIONS)
    assert payload.arrays["sources/path"].tolist() == ["/units", "/v"]
    assert payload.arrays["sources/source_object_id"].tolist() == ["1", ""]
    assert payload.arrays["sources/sha256"].tolist() == ["", "2"]
    assert payload.arrays["axes/source_share"].shape == (4, 2)
    assert_same_result(to_result(payload, name=""), joined)
    alone = to_payload(type(result)(result.dataset, {}, {"source": members[1]}, WEIGHTS), **VERSIONS)
    assert alone.arrays["sources/file"].tolist() == ["s.nwb"]
    assert not [path for path in to_payload(result, **VERSIONS).arrays if path.startswith("sources")]
