"""What makes a fit that was made again the same, and what refuses to make it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from nwb_dcf.data.result import DCFResult
from nwb_dcf.errors import DataError, StoreError
from nwb_dcf.pipeline import refit as refitting
from nwb_dcf.pipeline.refit import measure_difference, refit

from ..io.results.synthetic import make_result


def test_a_difference_is_in_standard_deviations_of_the_worst_axis_whatever_its_sign() -> None:
    latents = np.random.default_rng(0).normal(size=(1000, 2)) * [1, 10]
    assert measure_difference(latents, latents) == 0
    assert measure_difference(latents, latents * [1, -1]) == 0
    shifted = latents + 0.1
    assert measure_difference(latents, shifted) == pytest.approx(0.1 / latents[:, 0].std())
    assert measure_difference(latents, latents[1:]) == np.inf


@pytest.mark.parametrize(
    ("provenance", "message"),
    [
        ({"model": {"name": "units_dim3"}}, "another fit's model, units_dim3; refit that one"),
        ({"interrupted": True}, "was interrupted and cannot be repeated"),
    ],
)
def test_what_cannot_be_repeated_is_said(
    provenance: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = make_result(np.arange(4))
    stored = dataclasses.replace(result, provenance={**result.provenance, **provenance}, name="x")
    monkeypatch.setattr(refitting, "read_result", lambda path, name: stored)
    with pytest.raises(StoreError, match=message):
        refit("s.nwb")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.assign_coords(unit=[0, 1, 2, 9]), "the units are not those that were fitted"),
        (lambda r: r.isel(unit=slice(3)), "4 units were fitted, and there are 3 now"),
        (lambda r: r.assign_coords(time=r["time"] + 0.01), "time is not what was fitted"),
        (lambda r: r.isel(segment=slice(5)), "6 segments were fitted, and there are 5 now"),
        (lambda r: r.assign(segment_stop=r["segment_stop"] + 1), "segment_stop is not what was fitted"),
        (lambda r: r.assign_attrs(source={"sha256": "b"}), "/units has changed since it was fitted"),
    ],
)
def test_a_recording_that_is_not_the_one_that_was_fitted_is_refused(change: Any, message: str) -> None:
    source = {"path": "/units", "sha256": "a"}
    stored = make_result(np.arange(4), source=source)
    recording = stored.dataset.assign(data=(("time", "unit"), np.zeros((62, 4))))
    recording.attrs = {"source": source, "kind": "units"}
    refitting._require_same(stored, recording, "s.nwb")
    with pytest.raises(DataError, match=message):
        refitting._require_same(stored, change(recording), "s.nwb")


def test_the_environment_is_compared_by_versions_device_and_threads() -> None:
    then = {"versions": {"torch": "2.13", "numpy": "2"}, "machine": {"device": "cpu", "name": "x", "threads": 2}}
    now = {"versions": {"torch": "2.14", "numpy": "2"}, "machine": {"device": "cpu", "name": "x", "threads": 1}}
    assert refitting._list_changes(then, then) == []
    assert refitting._list_changes(then, now) == ["torch: 2.13 then, 2.14 now", "threads: 2 then, 1 now"]


def test_a_fit_with_other_weights_or_latents_is_not_equal() -> None:
    first = make_result(np.arange(4), seed=0)
    assert refitting._compare(first, first, "a", "b").equal
    other = DCFResult(first.dataset, first.config, first.provenance, make_result(np.arange(4), seed=1).weights)
    assert not refitting._compare(first, other, "a", "b").equal
    moved = first.dataset.assign(latents=first.dataset["latents"] * 1.5)
    compared = refitting._compare(first, dataclasses.replace(first, dataset=moved), "a", "b")
    assert (compared.equal, compared.repeated) == (False, False)
