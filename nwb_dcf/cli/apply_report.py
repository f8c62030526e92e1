"""Reports of the uses of a stored fit: as a dict for programs and as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import DOUBT
from .fit_report import describe_input, write_reading_lines
from .text_layout import Report, format_number, label_lines

if TYPE_CHECKING:
    import xarray as xr

    from ..data.result import DCFResult


def describe_transform(done: Report) -> str:
    """Return what `transform` did as text."""
    model, scores = done["model"], done["scores"]
    reconstructed, pca = format_number(scores.get("bottleneck_r2")), format_number(scores.get("pca_r2"))
    lines = [
        *label_lines("model", [f"{model['name']} of {model['file']}, sha256 {model['sha256'][:12]}"]),
        # no split: nothing was fitted
        *describe_input({**done, "split": None}),
        *label_lines("found", [f"{done['dim']} latents reconstruct R2 {reconstructed} of {scores['on']}"]),
        *label_lines("", [f"PCA fitted to these data themselves {pca}"]),
        *label_lines("written", [f"/processing/dcf/{done['name']} in {done['file']}", *done["write_notes"]]),
    ]
    return "\n".join([*lines, "read it", *(f"  {line}" for line in write_reading_lines(done["file"], done["name"]))])


def summarise_simulation(paths: xr.Dataset, stored: DCFResult, output: str | None) -> dict[str, object]:
    """Summarise a simulation: sizes, starts, and how far the paths move."""
    data, n_paths = paths["data"], paths.sizes["segment"]
    n_frames = paths.sizes["time"] // n_paths
    # a path's first and last frame, over all paths and channels
    flat = data.values.reshape(n_paths, n_frames, -1)
    # a path that explodes or dies out shows in these two
    after = {1: flat[:, 0], n_frames: flat[:, -1]}
    rollout = stored.dataset.attrs.get("scores", {}).get("rollout") or {}
    return {
        "name": stored.name,
        "paths": n_paths,
        "frames": n_frames,
        "step_s": float(paths["time"].values[1] - paths["time"].values[0]) if n_frames > 1 else None,
        "starts_s": sorted({float(start) for start in paths["trial_start_s"].values}),
        "dims": [str(dim) for dim in data.dims],
        "units": data.attrs.get("units"),
        "rms": {str(frame): float((values**2).mean() ** 0.5) for frame, values in after.items()},
        "horizon": (rollout.get("horizon") or {}).get("rollout"),
        "leads": rollout.get("leads"),
        "written": output,
    }


def describe_simulation(done: Report) -> str:
    """Return what was simulated as text."""
    step = done["step_s"]
    long = f" ({done['frames'] * step:.3g} s)" if step else ""
    starts = done["starts_s"]
    span = (
        f"{starts[0]:.6g} s" if len(starts) == 1 else f"{len(starts)} starts from {starts[0]:.6g} to {starts[-1]:.6g} s"
    )
    size = ", ".join(f"{value:.3g} after {frame}" for frame, value in done["rms"].items())
    lines = label_lines(
        "simulated",
        [
            f"{done['paths']} paths of {done['frames']} frames{long} by {done['name']}, from {span}",
            f"dims {', '.join(done['dims'])} in units of {done['units']}; root mean square {size} frames",
        ],
    )
    if done["horizon"] is not None:
        lines += label_lines("horizon", [_describe_horizon(done)])
    return "\n".join(lines + (label_lines("written", [done["written"]]) if done["written"] else []))


def _describe_horizon(done: Report) -> str:
    """Describe how long rollouts predict better than persistence, on held-out data."""
    where = "on held-out data"
    if done["horizon"] == 0:
        return f"does not beat persistence {where}: the current state predicts the next frame no worse"
    last = done["horizon"] == done["leads"]
    until = f"the last frame measured, {done['leads']}" if last else f"frame {done['horizon']}"
    return f"{where}, rollouts predicted better than persistence until {until}"


def describe_decoding(report: Report) -> str:
    """Return how well behaviour was decoded as text."""
    names = {"ridge": "ridge regression", "neighbours": "nearest neighbours"}
    # notes on what may be wrong in the file come before any score
    doubts = [note.removeprefix(DOUBT) for note in report["notes"] if note.startswith(DOUBT)]
    notes = [note for note in report["notes"] if not note.startswith(DOUBT)]
    lines = label_lines("doubt", doubts)
    lines += label_lines(
        "decoded",
        [
            f"{report['against']} ({report['unit']}, {report['variables']} columns pooled) "
            f"from {report['dim']} latents of {report['name']}",
            f"{report['frames']} frames, {report['left_out']} left out where it is not known; {report['rule']}",
        ],
    )
    for method, scores in report["scores"].items():
        # PCA beside every score: a number alone says little
        first = f"R2 {_show(scores['latents'])} by {names[method]}"
        if scores["pca"]:
            first += f"; PCA {_show(scores['pca'])}, difference {_show(scores['difference'])}"
        lines += label_lines("found" if method == "ridge" else "", [first])
    lines += label_lines("ceiling", _describe_ceiling(report["scores"]))
    lines += label_lines("chance", _describe_chance(report["scores"], names))
    one = next(iter(report["scores"].values()))["latents"]
    basis = f"{one['level']:.0%}, over {one['n']} {one['over']}, on which the scores depend"
    lines += label_lines("intervals", [basis])
    lines += label_lines("verdict", [report["verdict"]])
    return "\n".join(lines + label_lines("note", notes))


def _describe_ceiling(scores: Report) -> list[str]:
    ceiling = scores.get("ridge", {}).get("ceiling")
    return [f"R2 {_show(ceiling)} by ridge regression from all channels in the same bins"] if ceiling else []


def _describe_chance(scores: Report, names: Mapping[str, str]) -> list[str]:
    """Describe the scores of labels shifted in time, which are chance."""
    lines = []
    for method, one in scores.items():
        chance = one["chance"]
        p = "" if chance["p"] is None else f", p {chance['p']:.2g}"
        ends = f"R2 {format_number(chance['median'])}, {format_number(chance['highest'])} at most"
        lines.append(f"{ends} of {chance['shifts']} with labels shifted in time, {names[method]}{p}")
    return lines


def describe_written(done: Report) -> str:
    """Return what was exported as text."""
    sizes = ", ".join(f"{n} {dim}" for dim, n in done["sizes"].items() if dim in ("time", "latent", "segment"))
    return "\n".join(label_lines("written", [f"{done['written']}: {done['name']} of {done['file']} ({sizes})"]))


def describe_plot(done: Report) -> str:
    """Return what was drawn as text."""
    lines = label_lines("written", [f"{done['written']}: {', '.join(done['figures'])} of {done['name']}"])
    left_out = [f"{figure}: {why}" for figure, why in done["left_out"].items()]
    return "\n".join(lines + (label_lines("left out", left_out) if left_out else []))


def _show(interval: Report) -> str:
    value, low, high = (format_number(interval[key]) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
