"""Views against time on one clock: latents, behaviour, trials and events, and the raster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import BasicTickFormatter, ColumnDataSource, FixedTicker, HoverTool, Range1d, RangeTool
from bokeh.plotting import figure

from ..errors import DCFError
from .coloring import Paint, pick_line_color
from .data import ViewData
from .decimate import thin_lines
from .defaults import name_rows
from .pictures import LIMIT

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Num

BUCKETS = 1200  # of frames across a view
COLUMNS = 1000  # of the raster
MOST_INTERVALS = 1000  # that are drawn one by one
MOST_ROWS = 400  # of the raster that are drawn: a screen has no more
MARK = "#d62728"
PIXELS = {"row": 44, "trials": 18, "raster": 220, "overview": 54}
LEFT_PX, WIDTH_PX = 120, 980
LONGEST_LABEL = 22  # characters beside a view
TOOLS = "xpan,xwheel_zoom"


class Timeline:
    """Figures with one axis of time, which show the moment.

    Parameters
    ----------
    view : ViewData
    x_range : bokeh Range1d
        What is seen, seconds.
    now, chosen : bokeh ColumnDataSource
        ``x``: the moment; moments that are compared.
    """

    def __init__(self, view: ViewData, x_range: Range1d, now: ColumnDataSource, chosen: ColumnDataSource) -> None:
        self.view, self.x_range, self.now, self.chosen = view, x_range, now, chosen
        self.sort = 0
        self.trace_names: tuple[str, ...] = ()
        self._columns = _stack_rows([view.latents[:, k] for k in range(view.latents.shape[1])])
        self.overview = self._make_overview()
        self.latents = self._make_lines([f"latent {k + 1}" for k in range(view.latents.shape[1])], "latents")
        self.latents_source = ColumnDataSource()
        self.predicted = ColumnDataSource({"xs": [], "ys": [], "color": []})
        self._trace_columns = np.empty((len(view.time), 0))
        self.traces: Any = None
        self.traces_source = ColumnDataSource()
        self.trials, self.trial_source, self._strips = self._make_trials()
        self.raster, self.raster_source = self._make_raster()
        self._draw_lines(self.latents, self.latents_source, view.latents.shape[1])
        self.latents.multi_line("xs", "ys", source=self.predicted, color="color", line_dash="dashed", line_width=2)

    def list_figures(self) -> list[Any]:
        """Return the figures, from above, those that there are."""
        return [one for one in (self.latents, self.traces, self.trials, self.raster) if one is not None]

    def set_traces(self, names: Sequence[str]) -> list[str]:
        """Draw `names` below the latents; return a sentence for each that cannot be drawn."""
        labels: list[str] = []
        columns: list[Num[np.ndarray, " time"]] = []
        problems: list[str] = []
        drawn: list[str] = []
        for name in names:
            try:
                found = _read_trace(self.view, name)
            except DCFError as error:
                problems.append(f"{name} cannot be shown: {error.what}")
                continue
            drawn.append(name)
            labels += [label for label, _ in found]
            columns += [values for _, values in found]
        self.trace_names = tuple(drawn)
        self._trace_columns = _stack_rows(columns)
        self.traces_source = ColumnDataSource()
        self.traces = self._make_lines(labels, "below") if labels else None
        if self.traces is not None:
            self._draw_lines(self.traces, self.traces_source, len(labels))
        return problems

    def reload(self) -> None:
        """Draw what lies in the window that is seen."""
        window = float(self.x_range.start), float(self.x_range.end)
        view = self.view
        for source, columns in ((self.latents_source, self._columns), (self.traces_source, self._trace_columns)):
            if columns.shape[1]:
                time, lines = thin_lines(view.time, columns, view.segment, window, BUCKETS)
                source.data = {"x": time, **{f"y{k}": lines[:, k] for k in range(lines.shape[1])}}
        if self.trial_source is not None:
            self.trial_source.data = _cut_intervals(self._strips, window)
        if self.raster_source is not None and view.raster is not None:
            values, start, stop = view.raster.cut(window, COLUMNS)
            rows = values[view.sort_rows(self.sort)]
            self.raster_source.data = {
                "image": [_thin_rows(rows)], "x": [start], "dw": [stop - start], "dh": [len(rows)]
            }  # fmt: skip

    def color_trials(self, paint: Paint) -> None:
        """Colour the segments of the fit as the trajectory is, where one has one colour."""
        if self.trial_source is None:
            return
        strip = self._strips[0]
        # clusters change within a segment: it has no colour of its own
        if paint.coloring.groups and paint.coloring.name not in ("cluster",):
            # frames are in order of time, in which segments of arrays need not be numbered
            numbers, at = np.unique(self.view.segment, return_index=True)
            first = np.zeros(len(strip["start"]), int)
            first[numbers] = at
            rgb = paint.colors[first]
            strip["color"] = np.array(["#{:02x}{:02x}{:02x}".format(*color) for color in rgb.tolist()])
        else:
            strip["color"] = strip["plain"]

    def show_predicted(self, time: Float[np.ndarray, " time"], latents: Float[np.ndarray, "time latent"]) -> None:
        """Draw a predicted path, `time` (time,) and `latents` (time, latent), dashed; empty arrays for none."""
        if len(time) == 0:
            self.predicted.data = {"xs": [], "ys": [], "color": []}
            return
        rows = [
            _to_row(latents[:, k], self.view.latents[:, k], latents.shape[1] - 1 - k) for k in range(latents.shape[1])
        ]
        colors = [pick_line_color(k) for k in range(len(rows))]
        self.predicted.data = {"xs": [time] * len(rows), "ys": rows, "color": colors}

    def _make_figure(self, height: int, y_range: Any, **options: Any) -> Any:
        fig = figure(
            width=WIDTH_PX, height=height, x_range=self.x_range, y_range=y_range, tools=TOOLS,
            active_drag="xpan", active_scroll="xwheel_zoom", toolbar_location=None, min_border_left=LEFT_PX, **options,
        )  # fmt: skip
        fig.vspan(x="x", source=self.chosen, color="#555555", line_dash="dotted", line_width=1.5)
        fig.vspan(x="x", source=self.now, color=MARK, line_width=2, level="overlay")
        fig.xgrid.grid_line_color = None
        fig.min_border_top = fig.min_border_bottom = 2
        fig.outline_line_color = "#cccccc"
        _write_whole_seconds(fig)
        return fig

    def _make_overview(self) -> Any:
        """Make the strip of the whole session, with the window as a frame in it that can be dragged."""
        view = self.view
        span = float(view.time[0]), float(view.time[-1])
        time, lines = thin_lines(view.time, self._columns[:, :1], view.segment, span, BUCKETS // 2)
        fig = figure(
            width=WIDTH_PX, height=PIXELS["overview"], x_range=Range1d(*span), y_range=Range1d(*_compute_reach(lines)),
            tools="", toolbar_location=None, min_border_left=LEFT_PX, name="overview",
        )  # fmt: skip
        _write_whole_seconds(fig)
        fig.line(time, lines[:, 0], color="#8fa9c4", line_width=1)
        fig.vspan(x="x", source=self.chosen, color="#555555", line_dash="dotted", line_width=1.5)
        fig.vspan(x="x", source=self.now, color=MARK, line_width=2, level="overlay")
        # no gesture: a click in the overview goes to that moment
        tool = RangeTool(x_range=self.x_range, start_gesture="none")
        tool.overlay.fill_color, tool.overlay.fill_alpha = "#ffcc66", 0.25
        fig.add_tools(tool)
        fig.yaxis.visible = False
        fig.grid.grid_line_color = None
        fig.min_border_top = fig.min_border_bottom = 2
        return fig

    def _make_lines(self, labels: Sequence[str], name: str) -> Any:
        fig = self._make_figure(PIXELS["row"] * len(labels) + 14, Range1d(-0.1, len(labels) + 0.1), name=name)
        _label_rows(fig, labels)
        fig.ygrid.grid_line_color = None
        for start, stop in _find_spans(self.view.time, self.view.held_out):
            fig.quad(left=start, right=stop, bottom=-0.1, top=len(labels) + 0.1, color="#f4e9d8", level="underlay")
        fig.xaxis.visible = False
        return fig

    def _draw_lines(self, fig: Any, source: ColumnDataSource, n: int) -> None:
        source.data = {"x": [], **{f"y{k}": [] for k in range(n)}}
        for k in range(n):
            fig.line("x", f"y{k}", source=source, color=pick_line_color(k), line_width=1.2)

    def _make_trials(self) -> tuple[Any, ColumnDataSource | None, list[dict[str, Any]]]:
        strips = _list_strips(self.view)
        if not strips:
            return None, None, []
        n = len(strips)
        axis = 10 if self.view.raster is not None else 54
        fig = self._make_figure(PIXELS["trials"] * n + axis, Range1d(0, n), name="trials")
        _label_rows(fig, [strip["name"] for strip in strips])
        source = ColumnDataSource(_cut_intervals(strips, (0, 0)))
        bars = fig.quad(
            left="start", right="stop", bottom="low", top="high", source=source,
            fill_color="color", line_color="white", line_width=0.5,
        )  # fmt: skip
        fig.add_tools(HoverTool(renderers=[bars], tooltips=[("", "@text")], point_policy="follow_mouse"))
        fig.ygrid.grid_line_color = None
        fig.xaxis.visible = self.view.raster is None
        fig.xaxis.axis_label = "time on the session clock (s)"
        return fig, source, strips

    def _make_raster(self) -> tuple[Any, ColumnDataSource | None]:
        raster = self.view.raster
        if raster is None:
            self.latents.xaxis.visible = self.trials is None
            return None, None
        n = len(raster.mean)
        fig = self._make_figure(PIXELS["raster"] + 40, Range1d(0, n), name="raster")
        source = ColumnDataSource({"image": [np.zeros((1, 1))], "x": [0.0], "dw": [1.0], "dh": [n]})
        from bokeh.models import LinearColorMapper

        mapper = LinearColorMapper(palette=_row_palette(), low=-LIMIT, high=LIMIT, nan_color="#e1e1e1")
        picture = fig.image(
            image="image", x="x", y=0, dw="dw", dh="dh", source=source, color_mapper=mapper, level="underlay"
        )
        fig.add_tools(HoverTool(renderers=[picture], tooltips=[("time", "$x{0.000} s"), ("value", "@image{0.00} sd")]))
        fig.xaxis.axis_label = "time on the session clock (s)"
        fig.ygrid.grid_line_color = None
        self._name_rows(fig)
        return fig, source

    def _name_rows(self, fig: Any) -> None:
        names = [self.view.row_names[row] for row in self.view.sort_rows(self.sort)]
        every = max(1, len(names) // 14)
        ticks = list(range(0, len(names), every))
        fig.yaxis.ticker = FixedTicker(ticks=[tick + 0.5 for tick in ticks])
        fig.yaxis.major_label_overrides = {tick + 0.5: names[tick] for tick in ticks}
        fig.yaxis.axis_label = f"{len(names)} {name_rows(self.view.result.dataset)}"
        fig.yaxis.major_label_text_font_size = "8px"

    def sort_rows(self, latent: int) -> None:
        """Sort the raster by the loadings on `latent`, from 0."""
        self.sort = latent
        if self.raster is not None:
            self._name_rows(self.raster)


def _read_trace(view: ViewData, name: str) -> list[tuple[str, Num[np.ndarray, " time"]]]:
    if name == "speed":
        return [("latent speed", view.speed)]
    if name == "distance" and view.clusters is not None:
        return [("distance", view.clusters.distance)]
    series = view.read_behavior(name)
    unit = series.attrs.get("units", "")
    n = series.sizes["variable"]
    labels = [f"{name} {'xyz'[k] if n <= 3 else k}" if n > 1 else name for k in range(n)]
    return [(f"{label} ({unit})" if k == 0 and unit else label, series.values[:, k]) for k, label in enumerate(labels)]


def _compute_reach(values: Num[np.ndarray, "*value"]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if len(finite) and finite.min() < finite.max() else (0.0, 1.0)


def _to_row(values: Num[np.ndarray, " value"], like: Num[np.ndarray, " time"], row: int) -> Float[np.ndarray, " value"]:
    """Move values into row number `row` from below: most of `like` fills nine tenths of it."""
    finite = like[np.isfinite(like)]
    low, high = np.percentile(finite, [0.2, 99.8]) if len(finite) else (0.0, 1.0)
    return np.asarray(row + 0.05 + 0.9 * (values - low) / ((high - low) or 1.0))


def _stack_rows(columns: Sequence[Num[np.ndarray, " time"]]) -> Float[np.ndarray, "time row"]:
    """Put values one above the other, the first on top, shape (time, row)."""
    if not columns:
        return np.empty((0, 0))
    n = len(columns)
    # outliers reach a little into the neighbours' rows and no further
    rows = [np.clip(_to_row(values, values, n - 1 - k), n - 1.2 - k, n + 0.2 - k) for k, values in enumerate(columns)]
    return np.stack(rows, axis=1).astype(np.float32)


def _label_rows(fig: Any, labels: Sequence[str]) -> None:
    n = len(labels)
    ticks = [n - 1 - k + 0.5 for k in range(n)]
    fig.yaxis.ticker = FixedTicker(ticks=ticks)
    # a long name would move this figure out of line with those above and below it
    shown = [one if len(one) <= LONGEST_LABEL else f"{one[: LONGEST_LABEL - 1]}…" for one in labels]
    fig.yaxis.major_label_overrides = dict(zip(ticks, shown, strict=True))
    fig.yaxis.major_tick_line_color = None
    fig.yaxis.axis_line_color = None


def _find_spans(time: Float[np.ndarray, " time"], inside: Bool[np.ndarray, " time"]) -> list[tuple[float, float]]:
    """Return the intervals of the frames `inside`, seconds; none where there are more than 500, which no eye parts."""
    edges = np.flatnonzero(np.diff(inside.astype(int), prepend=0, append=0))
    if len(edges) > 1000:
        return []
    return [(float(time[a]), float(time[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _list_strips(view: ViewData) -> list[dict[str, Any]]:
    """List rows of intervals and events: the segments of the fit, then the tables of the file."""
    data = view.result.dataset
    held_out = data["segment_held_out"].values.astype(bool) if "segment_held_out" in data else None
    n = data.sizes["segment"]
    columns = {str(name)[6:]: v.values for name, v in data.data_vars.items() if str(name).startswith("trial_")}
    held = held_out if held_out is not None else np.zeros(n, bool)
    plain = np.where(held, "#e0a458", "#8fa9c4")
    text = [_describe_row(f"segment {k}, {'held out' if held[k] else 'trained on'}", columns, k) for k in range(n)]
    strips = [
        {
            "name": "fitted", "start": data["segment_start"].values, "stop": data["segment_stop"].values,
            "color": plain, "plain": plain, "text": np.array(text, object),
        }
    ]  # fmt: skip
    for table in view.tables:
        start, stop = table.start_s, table.stop_s
        known = np.isfinite(start)
        # an event or a trial without an end is drawn as a moment
        stop = np.where(np.isfinite(stop), stop, start)
        shades = np.where(np.arange(len(start)) % 2, "#b8c4b0", "#93a586")
        words = [_describe_row(f"{table.name} {table.row_id[k]}", table.columns, k) for k in range(len(start))]
        strips.append(
            {"name": table.name, "start": start[known], "stop": stop[known], "color": shades[known],
             "text": np.array(words, object)[known]}
        )  # fmt: skip
        for column in table.time_columns():
            if column not in ("start_time", "stop_time"):
                times = table.columns[column].astype(np.float64)
                seen = np.isfinite(times)
                text = [f"{column} {t:.3f} s" for t in times[seen]]
                strips.append(
                    {"name": column, "start": times[seen], "stop": times[seen],
                     "color": np.full(int(seen.sum()), "#7a4f9a"), "text": np.array(text, object)}
                )  # fmt: skip
    return strips


def _describe_row(name: str, columns: Any, row: int) -> str:
    kept = [column for column in columns if column not in ("start_time", "stop_time")][:8]
    return ", ".join([name, *(f"{column} {_shorten(columns[column][row])}" for column in kept)])


def _shorten(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)[:30]


def _cut_intervals(strips: Sequence[dict[str, Any]], window: tuple[float, float]) -> dict[str, Any]:
    """Return the intervals of every row within the window; too many are joined with their neighbours, and named so."""
    # an event has no width, and would vanish between two pixels
    least = (window[1] - window[0]) / WIDTH_PX * 1.5
    parts: dict[str, list[Any]] = {key: [] for key in ("start", "stop", "low", "high", "color", "text")}
    for row, strip in enumerate(strips):
        seen = np.flatnonzero((strip["stop"] >= window[0]) & (strip["start"] <= window[1]))
        start, stop = strip["start"][seen], strip["stop"][seen]
        color, text = strip["color"][seen], strip["text"][seen]
        if len(seen) > MOST_INTERVALS:
            order = np.argsort(start, kind="stable")
            edges = np.arange(0, len(order), -(-len(order) // MOST_INTERVALS))
            counts = np.diff(np.append(edges, len(order)))
            start = np.minimum.reduceat(start[order], edges)
            stop = np.maximum.reduceat(stop[order], edges)
            color, text = color[order][edges], np.array([f"{n} intervals: zoom in" for n in counts], object)
        parts["start"].append(start)
        parts["stop"].append(np.maximum(stop, start + least))
        parts["color"].append(color)
        parts["text"].append(text)
        base = len(strips) - 1 - row
        parts["low"].append(np.full(len(start), base + 0.1))
        parts["high"].append(np.full(len(start), base + 0.9))
    return {key: np.concatenate(values).tolist() if values else [] for key, values in parts.items()}


def _thin_rows(values: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "thinned column"]:
    """Average neighbouring rows where there are more than a screen shows."""
    if len(values) <= MOST_ROWS:
        return values
    edges = np.arange(0, len(values), -(-len(values) // MOST_ROWS))
    counts = np.diff(np.append(edges, len(values)))[:, None]
    return np.asarray(np.add.reduceat(values, edges, axis=0) / counts, np.float32)


def _row_palette() -> list[str]:
    from .pictures import color_rows

    levels = color_rows(np.linspace(-LIMIT, LIMIT, 101))
    return ["#{:02x}{:02x}{:02x}".format(*color) for color in levels.tolist()]


def _write_whole_seconds(fig: Any) -> None:
    """Write 20000 where bokeh would write 2.000e+4: times are looked up in a notebook of the session."""
    fig.xaxis.formatter = BasicTickFormatter(use_scientific=False)
