"""Latents as a view of SpikeInterface-GUI, which finds it by the entry point group ``spikeinterface_gui.views``.

Only that program imports this file. It draws in the web mode (panel); the desktop mode (Qt) has no such view.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from spikeinterface_gui.view_base import ViewBase

from . import tabulate_units

if TYPE_CHECKING:
    from jaxtyping import Float

MOST_POINTS = 4000  # of a line: more than there are pixels across
GREYS = ("#444444", "#888888", "#bbbbbb")
ABSENT = 'No latents in this analyzer: <code>analyzer.compute("dcf_latents", dim=3)</code>'


class DCFLatentsView(ViewBase):  # type: ignore[misc]
    """Latents against time, and below them how much each visible unit has of each latent, in the unit's colour."""

    id = "dcf_latents"
    _supported_backend = ["panel"]  # noqa: RUF012 - the program reads it from the class
    _settings = None
    _gui_help_txt = """
    ## DCF latents

    Above: the latents of all units together against time. Below: the loading of each visible unit on each latent.
    A latent of one unit alone is that unit, and shows nothing of the population.
    """

    def _panel_make_layout(self) -> None:
        import panel as pn
        from bokeh.models import ColumnDataSource
        from bokeh.plotting import figure

        extension = self.controller.analyzer.get_extension("dcf_latents")
        self._loadings: Any = None
        if extension is None:
            self.layout = pn.pane.HTML(ABSENT)
            return
        data = extension.get_data(outputs="xarray")
        self._table = tabulate_units(self.controller.analyzer)
        time, latents = data["time"].values, data["latents"].values
        above = figure(
            sizing_mode="scale_both", x_axis_label="time (s)", y_axis_label="latents", tools="xpan,xwheel_zoom,reset"
        )
        breaks = np.diff(data["segment_index"].values, prepend=data["segment_index"].values[:1]) != 0
        for k in range(latents.shape[1]):
            x, y = _thin(time, np.where(breaks, np.nan, latents[:, k]))
            above.line(x, y, color=GREYS[k % len(GREYS)], legend_label=f"latent {k + 1}")
        self._loadings = ColumnDataSource({"x": [], "top": [], "color": [], "unit": []})
        below = figure(
            sizing_mode="scale_both", y_axis_label="loading", tools="hover,reset", tooltips="@unit: @top{0.00}"
        )
        below.vbar("x", 0.8, "top", color="color", source=self._loadings)
        self._axis = below.xaxis[0]
        self.layout = pn.Column(above, below, sizing_mode="scale_both", styles={"display": "flex"})
        self._panel_refresh()

    def _panel_refresh(self, **kwargs: Any) -> None:
        if self._loadings is None:
            return
        visible = [unit for unit in self.controller.get_visible_unit_ids() if unit in self._table.index]
        columns = [name for name in self._table.columns if name.startswith("dcf_loading_")]
        # latents side by side, and in each the units in one order; a gap of one between latents
        width = len(visible) + 1
        place = [k * width + i for k in range(len(columns)) for i in range(len(visible))]
        self._loadings.data = {
            "x": place,
            "top": [float(self._table.loc[unit, name]) for name in columns for unit in visible],
            "color": [self.get_unit_color(unit) for _ in columns for unit in visible],
            "unit": [f"unit {unit}, latent {k + 1}" for k in range(len(columns)) for unit in visible],
        }
        middles = [k * width + (len(visible) - 1) / 2 for k in range(len(columns))]
        self._axis.ticker = middles
        self._axis.major_label_overrides = {at: f"latent {k + 1}" for k, at in enumerate(middles)}


def _thin(
    time: Float[np.ndarray, " time"], values: Float[np.ndarray, " time"]
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    step = max(1, len(time) // MOST_POINTS)
    return time[::step], values[::step]
