"""A fit that begins with another one: what it takes over, what it refuses, and what it says of it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from nwb_dcf import DCF
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError, ParameterError


def draw_values(seed: int = 0, n: int = 600) -> np.ndarray:
    phase = np.arange(n)[:, None] / 9 + np.arange(6)
    noise = np.random.default_rng(seed).standard_normal((n, 6))
    return np.sin(phase) + 0.6 * np.sin(2 * phase) + 0.1 * noise  # the second harmonic is a function of the first


@pytest.fixture(scope="module")
def first() -> DCF:
    return DCF(dim=2, steps=200).fit(draw_values())


@pytest.mark.long
def test_training_begins_where_the_other_fit_ended(first: DCF) -> None:
    cold = DCF(dim=2, steps=40, seed=1).fit(draw_values(1))
    warm = DCF(dim=2, steps=40, seed=1, warm_start=first).fit(draw_values(1))
    assert warm.fitted_.search.held_out_cf[0] < 0.9 * cold.fitted_.search.held_out_cf[0]
    assert warm.score(draw_values(2)) > cold.score(draw_values(2))
    expected = {"fit": "", "sha256": hashlib.sha256(first.to_bytes()).hexdigest()}
    assert warm.fitted_.init == expected
    assert DCF.from_bytes(warm.to_bytes()).fitted_.init == expected
    assert cold.fitted_.init == {}


def test_axes_are_those_of_the_other_fit_with_the_variances_of_the_data(first: DCF) -> None:
    values = 3 * draw_values(3) + 1
    warm = DCF(dim=2, steps=1, scale="none", early_stopping=False, warm_start=first).fit(values)
    np.testing.assert_allclose(warm.loadings_, first.loadings_, atol=1e-6)
    along = (values - values.mean(axis=0)) @ first.loadings_
    np.testing.assert_allclose(warm.spectrum_, along.var(axis=0), rtol=1e-3)
    z = warm.transform(values)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-3)


def test_a_joined_code_is_taken_over_with_what_reads_its_surroundings() -> None:
    counts = np.random.default_rng(0).poisson(np.exp(draw_values() / 2 + 0.5))
    first = DCF(dim=2, steps=40).fit(counts)
    warm = DCF(dim=2, steps=1, early_stopping=False, warm_start=first).fit(counts)
    assert warm.config_.model.train_encoder_with_flows
    one, two = first.transform(counts), warm.transform(counts)
    assert np.abs((one * two).mean(axis=0)).min() > 0.99


def test_a_flow_that_improves_no_more_ends_at_any_share_of_the_schedule(first: DCF) -> None:
    warm = DCF(dim=2, steps=200, warm_start=first, settings={"early_stopping_tolerance": 0.5}).fit(draw_values())
    assert warm.fitted_.settled == {"u": 30, "v": 15}  # three evaluations, of which none halved the loss
    assert any(
        note
        == "the search for the number of steps ended by itself, compression at step 30 of 200 and dynamics at step "
        "15 of 100: the held-out loss no longer fell by 50 % or more"
        for note in warm.fitted_.notes
    )


def test_a_cold_start_has_a_third_of_its_schedule_first() -> None:
    cold = DCF(dim=2, steps=200, settings={"early_stopping_tolerance": 0.5}).fit(draw_values())
    assert min(cold.fitted_.settled.values(), default=200) >= 60
    assert DCF(dim=2, steps=40, early_stopping=False).fit(draw_values()).fitted_.settled == {}


@pytest.mark.parametrize(
    ("values", "settings", "error", "says"),
    [
        (draw_values()[:, :5], {}, DataError, "cannot start from that fit"),
        (draw_values(), {"dim": 3}, ParameterError, "dim is 3, and that of the fit to start from 2; give `dim=2`"),
        (draw_values(), {"history": 5}, ParameterError, "another shape: history 3, and this one history 5"),
        (draw_values(), {"k_max": 4}, ParameterError, "another shape: k_max 6, and this one k_max 4"),
    ],
)
def test_another_fit_is_refused_in_one_line(
    first: DCF, values: np.ndarray, settings: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        DCF(**{"dim": 2, "steps": 5, "warm_start": first, **settings}).fit(values)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_channels_are_named(first: DCF) -> None:
    recording = make_recording(draw_values(), np.arange(600.0), channel=list("abcdef"), kind="series")
    named = DCF(dim=2, steps=2).fit(recording)
    other = recording.assign_coords(channel=list("abcxyz"))
    with pytest.raises(DataError, match="cannot start from that fit: the channels differ"):
        DCF(dim=2, steps=2, warm_start=named).fit(other)
