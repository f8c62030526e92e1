"""What a latent is made of: a latent that is one unit is called so."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from nwb_dcf.cli.channel_report import describe_channels
from nwb_dcf.errors import DataError
from nwb_dcf.evaluation.channel_table import measure_decoder_fractions, summarise_channels, tabulate_channels
from nwb_dcf.io.results.payload import to_payload, to_result
from tests.io.results.synthetic import make_result


def rotate(n=10):
    return np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0][:, :2]


def test_a_linear_decoder_has_the_shares_of_the_loadings():
    loadings, z = rotate(), np.random.default_rng(1).normal(size=(3_000, 2))
    shares = measure_decoder_fractions(lambda codes: codes @ loadings.T, z)
    np.testing.assert_allclose(shares, loadings**2, atol=1e-6)


def test_what_the_decoder_adds_is_seen_where_loadings_show_nothing():
    loadings, z = rotate(), np.random.default_rng(1).normal(size=(500, 2))

    def rebuild(codes):
        frames = codes @ loadings.T
        frames[:, 7] += 5 * np.abs(codes[:, 0])
        return frames

    shares = measure_decoder_fractions(rebuild, z)
    assert shares[7, 0] > 0.9
    first, second = summarise_channels(np.arange(100, 110), loadings, shares)
    assert first["one_channel"]
    assert first["top"][0]["channel"] == 107
    assert not second["one_channel"]


def test_a_latent_that_does_nothing_has_no_shares():
    shares = measure_decoder_fractions(lambda codes: codes[:, :1] * np.ones(4), np.ones((50, 2)))
    assert np.isnan(shares[:, 1]).all()
    assert summarise_channels(np.arange(4), np.full((4, 2), 0.5), shares)[1]["top"][0]["decoder_share"] is None


def test_one_unit_is_named_with_what_to_do():
    loadings = np.zeros((5, 2))
    loadings[3, 0], loadings[:, 1] = 1.0, 5**-0.5
    lines = describe_channels(summarise_channels(np.arange(5) * 10, loadings, loadings**2), "unit")
    assert lines[0].startswith("latent 1: unit 30 (100%, 100% decoded)")
    assert "5.0 effective units" in lines[1]
    assert lines[2] == (
        "warning: latent 1 is unit 30, 100% of it: leave that unit out with --units, or give all the same say with "
        "--scale zscore, and fit again"
    )
    latents = summarise_channels(np.arange(5) * 10, loadings, loadings**2)
    assert describe_channels(latents, "unit", "zscore")[2].endswith("leave that unit out with --units, and fit again")
    assert len(lines) == 3


def test_latents_that_are_units_each_are_warned_of_once():
    loadings = np.eye(4)[:, :3]
    loadings[:, 2] = 0.5
    latents = summarise_channels(np.array([6, 191, 206, 7]), loadings, loadings**2)
    *_, last = lines = describe_channels(latents, "unit", n_channels=40)
    assert len(lines) == 4
    assert last == (
        "warning: latents 1 (unit 6, 100%), 2 (unit 191, 100%) are one unit each: leave those units out with --units, "
        "or give all the same say with --scale zscore, and fit again"
    )


def test_no_unit_is_to_be_left_out_where_no_more_than_the_latents_would_stay():
    # a fit of three latents to the two or three others is refused, or compresses nothing
    loadings = np.eye(4)[:, :3]
    loadings[:, 2] = 0.5
    latents = summarise_channels(np.array([6, 191, 206, 7]), loadings, loadings**2)
    assert describe_channels(latents, "unit", "zscore", n_channels=4)[-1].endswith(
        "are one unit each: look at those units beside the latents"
    )
    assert "--units" not in describe_channels(latents, "unit", n_channels=5)[-1]
    assert "--units" in describe_channels(latents, "unit", n_channels=6)[-1]


def test_where_every_latent_is_a_unit_no_unit_is_to_be_left_out():
    loadings = np.eye(3)
    latents = summarise_channels(np.array([6, 191, 206]), loadings, loadings**2)
    assert describe_channels(latents, "unit", "zscore", n_channels=40)[-1] == (
        "warning: every latent is one unit, 1 (unit 6, 100%), 2 (unit 191, 100%), 3 (unit 206, 100%): these latents "
        "hold little that units have in common; look at the units themselves"
    )
    # a few loud units may have all the variance, and z-scores would show what the others have in common
    assert describe_channels(latents, "unit", n_channels=40)[-1].endswith(
        "give all the same say with --scale zscore, and if each is one unit again, look at the units themselves"
    )


def test_as_many_latents_as_units_compress_nothing():
    loadings = np.eye(3)
    latents = summarise_channels(np.array([6, 191, 206]), loadings, loadings**2)
    assert describe_channels(latents, "unit", n_channels=3)[-1] == (
        "warning: 3 latents of 3 units compress nothing, and latents 1 (unit 6, 100%), 2 (unit 191, 100%), 3 (unit "
        "206, 100%) are one unit each: look at the units themselves, or record more"
    )


def test_older_fits_have_no_line():
    assert describe_channels(None, "unit") == []


def test_the_table_of_channels_is_in_the_file_and_comes_back():
    result = make_result(np.arange(8))
    dim, (channel, *_) = result.dim, result.dataset["mean"].dims
    shares = np.random.default_rng(0).dirichlet(np.ones(result.dataset.sizes[channel]), dim).T
    result = dataclasses.replace(result, dataset=result.dataset.assign(decoder_share=((channel, "latent"), shares)))
    payload = to_payload(result, schema_version="1.0.0", package_version="0")
    np.testing.assert_allclose(payload.arrays["channel_table/loading_share"].sum(axis=0), 1, rtol=1e-5)
    np.testing.assert_array_equal(payload.arrays["channel_table/channel"], payload.arrays["channels"])
    again = to_result(payload, name="again")
    np.testing.assert_array_equal(again.dataset["decoder_share"], shares)
    table = tabulate_channels(again)
    pd.testing.assert_frame_equal(again.tabulate_channels(), table)
    assert list(table.columns)[:2] == ["loading_1", "loading_2"]
    np.testing.assert_allclose(table["decoder_fraction_1"], shares[:, 0])
    assert table.index.name == channel


def test_fits_without_decoder_shares_have_the_others():
    table = tabulate_channels(make_result(np.arange(8)))
    assert table["decoder_fraction_1"].isna().all()
    np.testing.assert_allclose(table["fraction_1"].sum(), 1, rtol=1e-6)


def test_pixels_are_no_channels():
    result = make_result(np.arange(8))
    (channel,) = result.dataset["mean"].dims
    data = result.dataset.drop_vars(["loadings", "mean"])
    images = data.assign(
        mean=(("y", "x"), np.zeros((2, 2))),
        loadings=(("y", "x", "component"), np.zeros((2, 2, data.sizes["component"]))),
    )
    with pytest.raises(DataError, match="pixels are no channels"):
        tabulate_channels(dataclasses.replace(result, dataset=images.drop_vars(channel)))
