"""Report of the choice of smoothing and scale, in three lines."""

from __future__ import annotations

from .text_layout import Report, describe_duration, format_number, label_lines, lay_out_table

SCALES = {"soft": "soft scale", "zscore": "z-scores", "global": "one scale for all", "none": "no scale"}


def describe_smoothing(report: Report) -> list[str]:
    """Return the lines of a report on what ``auto`` chose, and why; none where nothing was ``auto``."""
    choice = report.get("smoothing")
    if report.get("to_choose"):
        return label_lines("smoothing", _describe_choices(report["to_choose"]))
    if not choice:
        return []
    taken = f"{_show_width(choice['smooth_s'])}, {SCALES.get(choice['scale'], choice['scale'])}"
    width = report.get("bin_width_s")
    lines = [f"{taken}, in bins of {1000 * width:g} ms" if width else taken]
    other = choice.get("runner_up")
    # the second beside the first: how much hangs on the choice
    if choice["chosen"] and other:
        score, best = format_number(other["score"], 2), format_number(_get_best(choice), 2)
        rival = f"{_show_width(other['smooth_s'])}, {SCALES.get(other['scale'], other['scale'])}"
        lines[0] += f"; next {rival} ({score} beside {best})"
    lines.append(str(choice["rule"]))
    if choice["notes"]:
        lines.append("; ".join(choice["notes"]))
    return label_lines("smoothing", lines)


def _describe_choices(choices: Report) -> list[str]:
    """Describe what the fit will choose, which a plan has left to it."""
    what = [name for name in ("smooth", "scale") if choices[name]]
    names = " and ".join({"smooth": "smoothing", "scale": "scale"}[name] for name in what)
    width = choices.get("bin_width_s")
    bins = f", with bins of {1000 * width[0]:g} to {1000 * width[1]:g} ms" if width else ""
    asked = " ".join(f"--{name} auto" for name in what)
    return [f"{names} will be chosen by the fit{bins}: {describe_duration(choices['seconds'])}; add {asked} to see now"]


def describe_scan(scan: Report) -> str:
    """Return what `nwb-dcf scan` measured as text: a line for each smoothing and scale, the choice marked."""
    source = scan["source"]
    lines = label_lines(
        "scanned",
        [f"{source.get('path')} of {scan['file']}: {scan['channels']} {scan['dim']}s, {scan['frames']} frames"],
    )
    behavior = scan.get("against")
    rows = [
        {
            "": ">" if row["taken"] else "",
            "smooth": _show_width(row["smooth_s"]),
            "scale": SCALES.get(row["scale"], row["scale"]),
            "left-out": format_number(row["score"], 2) if row["score"] is not None else "-",
            "R2, median": format_number(row["median_r2"], 4) if row["median_r2"] is not None else "-",
            **(
                {"linear": format_number(row["ridge"], 2), "neighbours": format_number(row["neighbours"], 2)}
                if behavior
                else {}
            ),
        }
        for row in scan["rows"]
    ]
    lines += ["", *lay_out_table(rows), ""]
    lines += label_lines(
        "left-out", ["prediction of channels in the other half, each relative to its own best; 1: all at their best"]
    )
    if behavior:
        lines += label_lines(
            "decoding", [f"R2 of {behavior} from {scan['axes']} principal axes; no part of the choice"]
        )
    lines += label_lines("choice", [str(scan["choice"]["rule"]), *scan["choice"]["notes"]])
    return "\n".join(lines + label_lines("note", scan["notes"]))


def _get_best(choice: Report) -> float | None:
    table = choice["table"]
    # by its place in the table: the choice itself holds no score
    rows = zip(table["smooth_s"], table["scale"], table["score"], strict=True)
    return next((score for s, name, score in rows if (s, name) == (choice["smooth_s"], choice["scale"])), None)


def _show_width(seconds: float) -> str:
    return f"{seconds:g} s Gaussian" if seconds else "not smoothed"
