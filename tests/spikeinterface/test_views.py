"""The table of units and the pictures."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
from spikeinterface.widgets import get_default_plotter_backend, set_default_plotter_backend

import nwb_dcf
import nwb_dcf.spikeinterface
from nwb_dcf.errors import NotFittedError, ParameterError
from nwb_dcf.spikeinterface import plot_dcf_latents, tabulate_units

from .sessions import QUICK, make_analyzer, make_recording, make_sorting


def test_units_with_loadings_and_their_share_of_variance(computed):
    table = tabulate_units(computed)
    assert list(table.index) == list(computed.unit_ids)
    assert list(table.columns) == ["dcf_loading_1", "dcf_loading_2", "dcf_loading_3", "dcf_axis", "dcf_r2"]
    loadings = table.filter(like="loading").to_numpy()
    np.testing.assert_allclose(np.square(loadings).sum(axis=0), 1, atol=1e-5)
    scores = computed.get_extension("dcf_latents").get_data(outputs="result").dataset.attrs["scores"]
    best, worst = table["dcf_r2"].max(), table["dcf_r2"].min()
    assert worst < scores["bottleneck_r2"] < best <= 1
    assert set(table["dcf_axis"]) <= {1, 2, 3}


def test_share_of_variance_by_hand():
    sorting, recording = make_sorting((12.0,)), make_recording((12.0,))
    analyzer = make_analyzer(sorting, recording)
    analyzer.compute("dcf_latents", held_out=0, **QUICK)
    model = nwb_dcf.DCF.from_result(analyzer.get_extension("dcf_latents").get_data(outputs="result"))
    counts = nwb_dcf.spikeinterface.from_analyzer(analyzer)
    x = model.prepare(counts).astype(float)
    rebuilt = model.reconstruct(model.transform(counts)["data"].values)
    expected = 1 - ((x - rebuilt) ** 2).mean(axis=0) / x.var(axis=0)
    np.testing.assert_allclose(tabulate_units(analyzer)["dcf_r2"], expected, atol=1e-4)


def test_the_table_joins_with_metrics_and_units_left_out_are_missing():
    sorting = make_sorting((12.0,), 5)
    silent = sorting.select_units(["u0", "u1", "u2", "u3"])
    trains = {u: silent.get_unit_spike_train(u) for u in silent.unit_ids} | {"quiet": np.empty(0, int)}
    from spikeinterface.core import NumpySorting

    analyzer = make_analyzer(NumpySorting.from_unit_dict(trains, sorting.sampling_frequency), make_recording((12.0,)))
    analyzer.compute("dcf_latents", **QUICK)
    analyzer.compute("quality_metrics", metric_names=["firing_rate", "num_spikes"])
    joined = analyzer.get_extension("quality_metrics").get_data().join(tabulate_units(analyzer))
    assert {"firing_rate", "dcf_r2"} <= set(joined.columns)
    assert pd.isna(joined.loc["quiet", ["dcf_axis", "dcf_r2"]]).all()
    assert not joined.loc["u0":"u3", "dcf_r2"].isna().any()


def test_no_latents_no_table(analyzer):
    with pytest.raises(NotFittedError, match="compute"):
        tabulate_units(analyzer)


@pytest.mark.parametrize("mode", ["space", "time"])
def test_matplotlib(mode, computed):
    widget = plot_dcf_latents(computed, mode=mode, backend="matplotlib")
    axes = widget.figure.axes
    if mode == "time":
        assert [ax.get_ylabel() for ax in axes] == ["latent 1", "latent 2", "latent 3"]
        lines = axes[0].lines
        assert [len(line.get_xdata()) for line in lines] == [600, 400]  # no line from one segment to the next
        np.testing.assert_allclose(lines[1].get_xdata()[0], 200.01)
    else:
        assert axes[0].name == "3d"
        assert axes[0].get_zlabel() == "latent 3"
        assert len(axes[0].collections) == 2


@pytest.mark.parametrize("mode", ["space", "time"])
def test_plotly(mode, computed):
    widget = plot_dcf_latents(computed, mode=mode, segment_index=1, backend="plotly", figtitle="mine", width=500)
    figure = widget.figure
    assert figure.layout.title.text == "mine"
    if mode == "space":
        latents = computed.get_extension("dcf_latents").get_data()[1]
        np.testing.assert_array_equal(figure.data[0].z, latents[:, 2])
    else:
        assert [trace.name for trace in figure.data] == ["latent 1", "latent 2", "latent 3"]


def test_backends_are_chosen_in_their_manner(computed):
    before = get_default_plotter_backend()
    set_default_plotter_backend("plotly")
    try:
        assert plot_dcf_latents(computed).backend == "plotly"
    finally:
        set_default_plotter_backend(before)
    assert set(plot_dcf_latents.get_possible_backends()) == {"matplotlib", "plotly"}
    with pytest.raises(AssertionError, match="sortingview backend not available"):
        plot_dcf_latents(computed, backend="sortingview")


def test_parts_and_refusals(computed, analyzer):
    widget = plot_dcf_latents(computed, time_range=(202.0, 204.0), mode="time")
    (line,) = widget.figure.axes[0].lines
    assert 202 <= line.get_xdata()[0] < line.get_xdata()[-1] <= 204
    with pytest.raises(ParameterError, match="no latents in time_range"):
        plot_dcf_latents(computed, time_range=(0.0, 1.0))
    with pytest.raises(ParameterError, match="choose one of 0 to 1"):
        plot_dcf_latents(computed, segment_index=2)
    with pytest.raises(Exception, match="compute\\('dcf_latents'"):
        plot_dcf_latents(analyzer)
