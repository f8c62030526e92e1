"""Plots of latents as widgets of SpikeInterface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import xarray as xr
from spikeinterface.widgets.base import BaseWidget, backend_kwargs_desc, default_backend_kwargs, to_attr

from ..errors import ParameterError

if TYPE_CHECKING:
    from jaxtyping import Float

    Piece = tuple[Float[np.ndarray, " time"], Float[np.ndarray, "time latent"]]

# The registry of SpikeInterface has no plotly; none of its own widgets offers it, so that nothing else changes.
default_backend_kwargs.setdefault("plotly", {"figure": None, "figtitle": None, "width": None, "height": None})
backend_kwargs_desc.setdefault(
    "plotly",
    {
        "figure": "plotly Figure to add to. When None, it is created, default: None",
        "figtitle": "The figure title, default: None",
        "width": "Width in pixels, default: None",
        "height": "Height in pixels, default: None",
    },
)


class PlotData(TypedDict):
    """What both backends draw."""

    pieces: list[Piece]
    mode: str
    every: int  # one frame of so many is drawn


class DCFLatentsWidget(BaseWidget):  # type: ignore[misc]
    """Plot the latents of an analyzer: against each other, coloured by time, or against time.

    Parameters
    ----------
    sorting_analyzer : SortingAnalyzer
        With ``dcf_latents`` computed.
    segment_index : int | None, default: None
        One segment; all by default.
    mode : "space" | "time", default: "space"
        Trajectories in the first three latents (two, where there are two), or each latent against time.
    time_range : (float, float) | None, default: None
        Seconds on the recording's clock.
    max_frames : int, default: 20000
        Longer recordings are thinned to about this many frames in plots of space.
    backend : "matplotlib" | "plotly" | None, default: None
        By default the one of ``spikeinterface.widgets.set_default_plotter_backend``. The picture is in ``figure``.
    """

    def __init__(
        self,
        sorting_analyzer: Any,
        segment_index: int | None = None,
        mode: str = "space",
        time_range: tuple[float, float] | None = None,
        max_frames: int = 20_000,
        backend: str | None = None,
        **backend_kwargs: Any,
    ) -> None:
        analyzer = self.ensure_sorting_analyzer(sorting_analyzer)
        self.check_extensions(analyzer, "dcf_latents")
        data = analyzer.get_extension("dcf_latents").get_data(outputs="xarray")
        if mode not in ("space", "time"):
            raise ParameterError(f"mode is {mode!r}", fix="choose space or time")
        # one latent has nothing to be drawn against but time
        if mode == "space" and data.sizes["latent"] == 1:
            mode = "time"
        n_segments = analyzer.get_num_segments()
        if segment_index is not None and segment_index not in range(n_segments):
            raise ParameterError(f"segment_index is {segment_index}", fix=f"choose one of 0 to {n_segments - 1}")
        plot_data: PlotData = {
            "pieces": _cut_pieces(data, segment_index, time_range),
            "mode": mode,
            "every": max(1, data.sizes["time"] // max_frames) if mode == "space" else 1,
        }
        BaseWidget.__init__(self, plot_data, backend=backend, **backend_kwargs)

    def plot_matplotlib(self, data_plot: PlotData, **backend_kwargs: Any) -> None:
        """Draw with matplotlib; ``figure``, ``ax`` and ``axes`` as in SpikeInterface."""
        from spikeinterface.widgets.utils_matplotlib import make_mpl_figure

        dp = to_attr(data_plot)
        n = dp.pieces[0][1].shape[1]
        if dp.mode == "time":
            if backend_kwargs["ax"] is None and backend_kwargs["axes"] is None:
                backend_kwargs.update(num_axes=n, ncols=1)
            self.figure, self.axes, self.ax = make_mpl_figure(**backend_kwargs)
            # make_mpl_figure fills a grid of axes with None
            axes = [ax for ax in np.ravel(self.axes) if ax is not None]
            if len(axes) not in (1, n):
                raise ParameterError(f"{len(axes)} axes for {n} latents", fix=f"give {n} axes, or one")
            for k in range(n):
                ax = axes[k % len(axes)]
                for number, (time, latents) in enumerate(dp.pieces):
                    ax.plot(time, latents[:, k], lw=0.8, color=f"C{k}", label=f"latent {k + 1}" if not number else None)
                ax.set_ylabel(f"latent {k + 1}" if len(axes) == n else "latents")
            axes[-1].set_xlabel("time (s)")
            return
        dims = min(n, 3)
        if backend_kwargs["ax"] is None and backend_kwargs["axes"] is None:
            figure = backend_kwargs["figure"]
            if figure is None:
                import matplotlib.pyplot as plt

                figure = plt.figure(figsize=backend_kwargs["figsize"])
            backend_kwargs.update(
                figure=None, ax=figure.add_subplot(111, **({"projection": "3d"} if dims == 3 else {}))
            )
        self.figure, self.axes, self.ax = make_mpl_figure(**backend_kwargs)
        ax = self.ax if self.ax is not None else np.ravel(self.axes)[0]
        if dims == 3 and ax.name != "3d":
            raise ParameterError("the axes are flat, and there are three latents", fix='give ax with projection="3d"')
        # one scale of colour over all pieces, of which the colour bar is that of the last
        low, high = (end([end(time) for time, _ in dp.pieces]) for end in (np.min, np.max))
        for time, latents in dp.pieces:
            ax.plot(*latents[:: dp.every, :dims].T, lw=0.3, color="0.7", zorder=1)
            drawn = ax.scatter(
                *latents[:: dp.every, :dims].T, c=time[:: dp.every], s=2, cmap="viridis", vmin=low, vmax=high
            )
        ax.set(**{f"{axis}label": f"latent {k + 1}" for k, axis in enumerate("xyz"[:dims])})
        self.figure.colorbar(drawn, ax=ax, label="time (s)", shrink=0.7, pad=0.1)

    def plot_plotly(self, data_plot: PlotData, **backend_kwargs: Any) -> None:
        """Draw with plotly; the figure is in ``figure`` and shown by ``figure.show()``."""
        try:
            import plotly.graph_objects as go
        except ImportError as error:
            raise ImportError("plotly is not installed: pip install plotly") from error

        dp = to_attr(data_plot)
        figure = backend_kwargs["figure"] or go.Figure()
        n = dp.pieces[0][1].shape[1]
        if dp.mode == "time":
            for k in range(n):
                for number, (time, latents) in enumerate(dp.pieces):
                    name, color = f"latent {k + 1}", {"color": f"hsl({360 * k // n},60%,45%)"}
                    figure.add_scatter(
                        x=time, y=latents[:, k], name=name, line=color, legendgroup=name, showlegend=number == 0
                    )
            figure.update_xaxes(title="time (s)")
        else:
            low, high = (end([end(time) for time, _ in dp.pieces]) for end in (np.min, np.max))
            # more than three latents: the first three, which have most of the variance
            trace = go.Scatter3d if n >= 3 else go.Scatter
            for number, (time, latents) in enumerate(dp.pieces):
                points = latents[:: dp.every]
                marker = {
                    "size": 2,
                    "color": time[:: dp.every],
                    "colorscale": "Viridis",
                    "cmin": low,
                    "cmax": high,
                    "showscale": number == 0,
                    "colorbar": {"title": "time (s)"},
                }
                places = dict(zip("xyz", points.T[: min(n, 3)], strict=False))
                figure.add_trace(
                    trace(
                        **places,
                        mode="lines+markers",
                        marker=marker,
                        line={"color": "lightgray", "width": 1},
                        text=[f"{t:.3f} s" for t in time[:: dp.every]],
                        name=f"piece {number}",
                        showlegend=False,
                    )
                )
            if n >= 3:
                figure.update_scenes({f"{axis}axis_title": f"latent {k + 1}" for k, axis in enumerate("xyz")})
            else:
                figure.update_layout(xaxis_title="latent 1", yaxis_title="latent 2")
        figure.update_layout(
            title=backend_kwargs["figtitle"], width=backend_kwargs["width"], height=backend_kwargs["height"]
        )
        self.figure = figure


plot_dcf_latents = DCFLatentsWidget


def _cut_pieces(data: xr.Dataset, segment_index: int | None, time_range: tuple[float, float] | None) -> list[Piece]:
    """Return time and latents of each segment of the fit: no line is drawn across their edges."""
    time, latents, index = (data[name].values for name in ("time", "latents", "segment_index"))
    shown = np.ones(len(time), bool)
    if segment_index is not None:
        shown &= data["trial_si_segment"].values[index] == segment_index
    if time_range is not None:
        shown &= (time >= time_range[0]) & (time <= time_range[1])
    if not shown.any():
        raise ParameterError(f"there are no latents in time_range {time_range}", fix="choose another range or segment")
    return [(time[shown & (index == i)], latents[shown & (index == i)]) for i in np.unique(index[shown])]
