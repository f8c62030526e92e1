"""A cohort as text: what was fitted, found, decoded and compared."""

from __future__ import annotations

from .text_layout import Report, format_number, label_lines, lay_out_table

# before a sentence; what is as it should be has no mark
MARKS = {"good": "", "note": "note: ", "warning": "warning: ", "refused": "no: "}
METHODS = {"ridge": "linear", "neighbours": "20 neighbours"}


def describe_cohort(report: Report) -> str:
    """Return a cohort as text."""
    conditions = report["conditions"]
    listed = ", ".join(conditions[:8]) + (" ..." if len(conditions) > 8 else "")
    axes = report["statistics"]["axes"]
    lines = label_lines(
        "cohort", [f"{len(report['sessions'])} sessions in {report['dim']} latents; {report['output']}"]
    )
    lines += label_lines(
        "anchors", [f"{len(conditions)} conditions ({listed}), {report['bins']} bins of {report['bin_width_s']:g} s"]
    )
    fractions = ", ".join(format_number(value, 2) for value in axes["variance"])
    lines += label_lines("axes", [f"slowest first; fraction of the means' energy {fractions}"])
    if report["statistics"]["unshared"]:
        lines += label_lines("mark", ["unshared: fitted by force"])
    lines += label_lines("findings", [MARKS[f["severity"]] + f["sentence"] for f in report["statistics"]["findings"]])
    groups = report["statistics"].get("groups")
    # speeds of so few animals that no verdict is allowed would be read as one
    if groups and groups["verdict_allowed"]:
        speeds = zip(groups["animals"], groups["speed"], strict=True)
        lines += label_lines("speed", [", ".join(f"{name} {speed:.2f}" for name, speed in speeds)])
    written = [about["state"] for about in report.get("files", {}).values()]
    if written:
        text = f"{written.count('written')} written, {written.count('there')} there already"
        lines += label_lines("files", [text])
    lines += label_lines("left out", [f"{name}: {why}" for name, why in report.get("left_out", {}).items()])
    rows = [_shorten(row) for row in report["sessions"]]
    return "\n".join([*lines, "", *lay_out_table(rows)])


def _shorten(row: Report) -> dict[str, object]:
    """Shorten the row of a session for a table: three digits, no hashes."""
    # longer than all else in the row; --json has them
    hidden = ("sha256", "identifier", "file")
    shown = {key: value for key, value in row.items() if key not in hidden}
    for key in ("p", "own_r2", "shared_r2"):
        shown[key] = format_number(row.get(key))
    return {key.replace("_r2", " R2"): value for key, value in shown.items()}


def describe_added(report: Report) -> str:
    """Return what was coupled as text."""
    lines = label_lines(
        "added", [f"{report['session']} is coupled to {report['cohort']['file']}, whose axes and field are unchanged"]
    )
    lines += label_lines(
        "session",
        ["{units} units, {trials} trials, {conditions} of {of_conditions} conditions".format_map(report)],
    )
    lines += label_lines("written", [f"{report['fit']} in {report['file']}"])
    lines += label_lines("findings", [MARKS[f["severity"]] + f["sentence"] for f in report["findings"]])
    return "\n".join(lines)


def describe_sessions(report: Report) -> str:
    """Return the list of sessions as text."""
    return "\n".join(
        [
            f"{report['cohort']}: {len(report['sessions'])} sessions",
            "",
            *lay_out_table([_shorten(row) for row in report["sessions"]]),
        ]
    )


def describe_evaluation(report: Report) -> str:
    """Return decoding across animals as text."""
    lines = label_lines("decoded", [f"{report['against']}, R2 on held-out trials; {report['rule']}"])
    for method, found in report["methods"].items():
        lines += ["", f"{METHODS.get(method, method)}: across / within {format_number(found['ratio'], 2)}"]
        rows = []
        for i, session in enumerate(report["sessions"]):
            curve = {f"new, {n} trials": format_number(found["new"][i][k], 2) for k, n in enumerate(report["n_trials"])}
            rows.append(
                {
                    "session": session,
                    "others' decoder": format_number(found["others"][i], 2),
                    "own decoder": format_number(found["within"][i], 2),
                    "own PCA": format_number(found["pca"][i], 2),
                    **curve,
                }
            )
        lines += lay_out_table(rows)
    lines += ["", *label_lines("left out", [f"{name}: {why}" for name, why in report["left_out"].items()])]
    return "\n".join(lines).rstrip()


def describe_comparison(report: Report) -> str:
    """Return a comparison as text."""
    lines = label_lines("findings", [MARKS[f["severity"]] + f["sentence"] for f in report["findings"]])
    groups, kinds = report["groups"], report["kinds"]
    if groups:
        rows = [
            {"animal": animal, "speed": format_number(speed)}
            for animal, speed in zip(groups["animals"], groups["speed"], strict=True)
        ]
        lines += ["", *lay_out_table(rows)]
    if kinds:
        first, second = kinds["kinds"]
        rows = [
            {"session": session, f"speed {second} / {first}": format_number(ratio), "p": format_number(p)}
            for session, ratio, p in zip(kinds["sessions"], kinds["ratio"], kinds["p_session"], strict=True)
        ]
        lines += ["", *lay_out_table(rows)]
    found = groups or kinds
    where = _list_beyond(found, report)
    return "\n".join([*lines, "", *label_lines("where", [where])])


def _list_beyond(found: Report, report: Report) -> str:
    """Name the conditions and times at which fields differ by more than the family-wise threshold."""
    threshold = found["threshold"]
    if threshold is None or threshold != threshold:
        return "this design has no family-wise threshold"
    beyond = []
    for condition, row in zip(report["conditions"], found["difference"], strict=True):
        times = [time for time, value in zip(report["bins"], row, strict=True) if value > threshold]
        if times:
            beyond.append(f"{condition} at {', '.join(f'{time:.2f}' for time in times)} s")
    if not beyond:
        return "no condition and time is beyond the family-wise threshold"
    return f"beyond the family-wise threshold: {'; '.join(beyond)} from the start of the trial"


def describe_page(report: Report) -> str:
    """Return what was drawn as text."""
    lines = label_lines("page", [f"{report['written']}: {report['sessions']} sessions"])
    lines += label_lines("left out", [f"{name}: {why}" for name, why in report["left_out"].items()])
    return "\n".join(lines)
