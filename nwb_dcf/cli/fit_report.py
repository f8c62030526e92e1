"""Reports of fits and files: as a dict for programs, and from that dict alone as text."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DOUBT
from .certificate_report import describe_certificate, describe_verdict
from .channel_report import describe_channels
from .score_table import describe_scores
from .smoothing_report import describe_smoothing
from .text_layout import Report, describe_duration, format_number, label_lines, lay_out_table

if TYPE_CHECKING:
    from ..data.result import DCFResult


def describe_findings(fit: Report) -> list[str]:
    """Describe what a fit found, beside its table of scores."""
    scores, channel = fit["scores"], fit.get("channel_dim") or "channel"
    made_of = describe_channels(
        scores.get("channels"), channel, scale=fit.get("scale") or "", n_channels=fit.get("channels") or 0
    )
    return [
        *label_lines("encoder", [fit["encoder"]] if fit.get("encoder") else []),
        *label_lines("sources", _describe_fractions(fit.get("source_share") or {})),
        *label_lines("made of", made_of),
        *label_lines("rollouts", _describe_rollouts(scores.get("rollout"))),
        *label_lines("null", _describe_null(scores.get("null"), fit["dim"])),
        *label_lines("agreement", _describe_agreement(scores.get("agreement"))),
        *label_lines("support", _describe_support(fit.get("support"))),
    ]


def _describe_fractions(fractions: Mapping[str, Sequence[float]]) -> list[str]:
    """Describe the fraction of each axis that each source has."""
    return [
        f"{name} has {', '.join(f'{100 * fraction:.0f} %' for fraction in of)} of axes 1 to {len(of)}"
        if len(of) > 1
        else f"{name} has {100 * of[0]:.0f} % of the axis"
        for name, of in fractions.items()
    ]


def _describe_rollouts(rollout: Report | None) -> list[str]:
    """Describe how long rollouts from held-out starts beat persistence, beside an autoregression."""
    if not rollout:
        return []
    if "horizon" not in rollout:
        return [f"not measured: {rollout.get('not_measured')}"]
    # a linear rival of the same history beside it: smooth data predict themselves
    reach, rival = (rollout["horizon"][name] for name in ("rollout", "ar3"))
    seconds = f"{reach * rollout['step_s']:.3g} s"
    if reach == 0:
        how = "do not beat persistence one frame ahead"
    elif reach == rollout["leads"]:
        how = f"beat persistence to the last frame measured, {reach} ({seconds})"
    else:
        how = f"beat persistence until frame {reach} ({seconds})"
    return [f"{how}; ridge AR(3) does until {rival}" if rival else f"{how}; ridge AR(3) never does"]


def _describe_null(null: Report | None, dim: int) -> list[str]:
    """Describe the scores of fits to channels shifted apart in time, and what such a shift keeps."""
    if not null:
        return []
    stopped = f" (stopped: {null['stopped']})" if null.get("stopped") else ""
    if not null["fits"]:
        return [f"not measured{stopped}"]
    fits = "1 fit" if null["fits"] == 1 else f"{null['fits']} fits"
    p, pca_p = (_show_p(null, name) for name in ("p", "pca_p"))
    # PCA in the null too: what survives the shift is in its axes as well
    found = f"R2 {_show_range(null['bottleneck_r2'])}{p}; PCA {_show_range(null['pca_r2'])}{pca_p}"
    lines = [f"{fits} to channels shifted apart in time{stopped}: {dim} latents {found}"]
    # the data count as one of the permutations, so that p is never 0 (Phipson and Smyth 2010)
    if null["fits"] < LEAST_NULLS:
        floor = 1 / (null["fits"] + 1)
        lines.append(f"too few for a p: {null['fits']} could show no less than {floor:.2f}; give --null 19 or more")
    return [*lines, str(null["survives"])]


def _describe_agreement(agreement: Report | None) -> list[str]:
    """Describe how well axes repeat when segments are resampled; planes, where axes may rotate into each other."""
    if not agreement:
        return []
    stopped = f" (stopped: {agreement['stopped']})" if agreement.get("stopped") else ""
    if not {"axes", "pca_axes", "pca_planes"} <= agreement.keys():
        return [f"not measured{stopped}"]
    planes = [
        f"; span of {' and '.join(map(str, group))} {format_number(mine, 2)}, PCA's {format_number(pca, 2)}"
        for group, mine, pca in zip(agreement["groups"], agreement["planes"], agreement["pca_planes"], strict=True)
        # of an axis alone the span is the axis
        if len(group) > 1
    ]
    ours, pca_axes = (", ".join(format_number(value, 2) for value in agreement[name]) for name in ("axes", "pca_axes"))
    over = f"{agreement['fits']} fits to resampled {agreement['over']}{stopped}"
    lines = [f"axes 1, 2, ... of {over}: {ours}; PCA's {pca_axes}{''.join(planes)}"]
    return lines + _describe_invented(agreement.get("invented") or {})


def _describe_invented(invented: Report) -> list[str]:
    """Describe what refits decode of each latent, and what each adds to a readout of left-out channels."""
    latents = invented.get("latents") or []
    if not latents:
        return []
    decoded, gains = (", ".join(format_number(one[name]) for one in latents) for name in ("decoded", "gain"))
    theirs = ", ".join(format_number(value) for value in invented["theirs"])
    learned = f"{invented['few']} of {invented['of']} training {invented['over']}"
    return [
        f"latents 1, 2, ... decoded from the other fits: R2 {decoded}; theirs from this one: {theirs}",
        f"left-out channels, read out after {learned}: R2 {format_number(invented['few_shot_r2'])}; without "
        f"latent 1, 2, ... less by {gains}",
    ]


def _describe_support(support: Report | None) -> list[str]:
    """Warn where latents depend on later frames: latencies read off them would be too early."""
    # causal latents may be read for latencies, and need no warning
    if not support or support["causal"]:
        return []
    frames, sigma_s, seen = support["frames_after"], support["smoothing"]["sigma_s"], []
    if frames:
        seen.append(f"{frames} frame{'' if frames == 1 else 's'} ({_show_span(support['seconds'])})")
    if sigma_s:
        seen.append(f"a {_show_span(sigma_s)} Gaussian")
    return [f"latents see {' and '.join(seen)} to either side: no latencies from them"]


def _show_p(null: Report, name: str) -> str:
    """Show the p value, where there are enough null fits for one, with a mark at the least that they can show."""
    if null["fits"] < LEAST_NULLS or null.get(name) is None:
        return ""
    floor = 1 / (null["fits"] + 1)
    # a thousandth for rounding: the p is stored as a float
    least = ", the least that so many fits can show" if null[name] <= floor * 1.001 else ""
    return f" (p {null[name]:.2g}{least})"


def _show_range(values: Sequence[float]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "unknown"
    low, high = format_number(min(known)), format_number(max(known))
    return low if low == high else f"{low} to {high}"


def _show_span(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


IDS_SHOWN = 24
LEAST_NULLS = 19  # fewer cannot reach p = 0.05
CURVE_FLOOR = 5e-4  # of shared variance, in prepared units squared; smaller is shown as 0


def summarise_fit(result: DCFResult, file: str) -> dict[str, object]:
    """Summarise a fit that was written to `file`."""
    from ..data.summary import describe_encoder  # --help need not wait for it

    dataset, provenance = result.dataset, result.provenance
    # the name that it has in the file, which a fit in memory has not
    written = provenance.get("written", {})
    read = result.config.get("read") or {}
    channels = dataset["mean"].size if "mean" in dataset else None
    return {
        "file": file,
        "name": written.get("name") or result.name,
        "source": provenance.get("source", {}),
        "kind": dataset.attrs.get("kind"),
        "channels": channels,
        "bins": dataset.sizes.get("time"),
        # the setting has a default, which is no width of anything where frames are not bins
        "bin_width_s": read.get("bin_width_s") if _has_bins(dataset, provenance) else None,
        "segments": dataset.sizes.get("segment"),
        "notes": list(provenance.get("notes", [])),
        "left_out": list(provenance.get("left_out", [])),
        "split": provenance.get("split", {}),
        "dim": result.dim,
        "channel_dim": str(dataset["mean"].dims[0]) if "mean" in dataset else None,
        "dimension": provenance.get("dimension"),
        "scale": provenance.get("preparation", {}).get("scale"),
        "smoothing": provenance.get("smoothing"),
        "encoder": describe_encoder(provenance),
        "axes_for_95_percent": dataset.attrs.get("k_eff"),
        "certificate": result.certificate,
        "scores": {key: value for key, value in result.scores.items() if key != "certificate"},
        "source_share": _list_fractions(dataset),
        "spectrum": dataset["spectrum"].values if "spectrum" in dataset else [],
        "bottleneck_r2": dataset["bottleneck_r2"].values if "bottleneck_r2" in dataset else [],
        "pca_r2": dataset["pca_r2"].values if "pca_r2" in dataset else [],
        "support": provenance.get("support"),
        "seconds": provenance.get("seconds"),
        "interrupted": bool(provenance.get("interrupted")),
        "write_notes": list(written.get("notes", [])),
    }


def describe_fit(fit: Report, *, verbose: bool = False) -> str:
    """Return the report of `summarise_fit` as text: verdict and scores first; `verbose` adds the whole certificate."""
    name, certificate = fit["name"], fit.get("certificate") or []
    verdict = [*describe_verdict(certificate), *describe_scores(fit, verbose=verbose)]
    verdict += describe_certificate(certificate) if verbose else []
    lines = describe_input(fit, verdict) + describe_smoothing(fit) + _describe_dimension(fit) + describe_findings(fit)
    if fit["interrupted"]:
        lines += label_lines("partial", ["training was interrupted; this is the fit as far as it had come"])
    if fit["seconds"] is not None:
        lines += label_lines("took", [f"{fit['seconds']:.0f} s"])
    lines += label_lines("written", [f"/processing/dcf/{name} in {fit['file']}", *fit["write_notes"]])
    reading = [f"  {line}" for line in write_reading_lines(fit["file"], name)]
    return "\n".join([*lines, "read it", *reading, *_suggest_next(fit["file"], name)])


def _suggest_next(file: str, name: str) -> list[str]:
    """Return the commands that show a fit, to be pasted into a shell."""
    place, fit = shlex.quote(file), shlex.quote(name)
    page = shlex.quote(f"{Path(file).stem}_{name}.html")
    return ["next", f"  nwb-dcf plot {place} {fit} -o {page}", f"  nwb-dcf view {place} {fit}"]


def write_reading_lines(file: str, name: str) -> list[str]:
    """Return the two lines of pynwb that read the latents back."""
    # quoted as Python wants it: a file may have blanks, quotes and backslashes in its name
    where = f'processing["dcf"][{json.dumps(name)}]["latents"]'
    return ["from pynwb import read_nwb", f"latents = read_nwb({json.dumps(file, ensure_ascii=False)}).{where}.data[:]"]


def describe_plan(plan: Report) -> str:
    """Return what a fit would do as text."""
    lines = describe_input(plan) + describe_smoothing(plan) + _describe_dimension(plan)
    repeats = [f"{plan['null']} more to shifted channels"] if plan.get("null") else []
    repeats += [f"{plan['repeats'] - 1} more to resampled segments"] if plan.get("repeats", 1) > 1 else []
    fitted = f"{plan.get('dim')} latents with the settings of preset {plan.get('preset')}"
    lines += label_lines("fit", [", ".join([fitted, *repeats])])
    lines += label_lines("memory", _describe_memory(plan))
    if plan.get("seconds"):
        lines += label_lines("time", [f"{describe_duration(plan['seconds'])} on this CPU, as busy as it is now"])
    where = [f"/processing/dcf/{plan.get('name')} in {plan.get('output')}", *_describe_growth(plan)]
    lines += label_lines(
        "write", [*where, *([f"not as it is asked: {plan['refusal']}"] if plan.get("refusal") else [])]
    )
    return "\n".join([*lines, "nothing was fitted or written"])


def _describe_growth(plan: Report) -> list[str]:
    grows, between = plan.get("growth_bytes"), (plan.get("to_choose") or {}).get("growth_bytes")
    if between and grows:
        return [f"the file grows by about {between[0] / 1e6:.2g} to {between[1] / 1e6:.2g} MB"]
    return [f"the file grows by about {grows / 1e6:.2g} MB"] if grows else []


def _describe_memory(plan: Report) -> list[str]:
    most, choices = plan.get("memory_bytes"), plan.get("to_choose") or {}
    if not most:
        return []
    if "memory_bytes" not in choices:
        return [f"about {most / 2**30:.1f} GiB at most"]
    low, high = (f"{n / 2**30:.1f}" for n in choices["memory_bytes"])
    lines = [f"about {f'{low} to {high}' if low != high else high} GiB at most, by the bins that are chosen"]
    least, narrowest = choices["least_bin_width_s"], choices["bin_width_s"][0]
    if least is None or least > narrowest:
        free = f"{choices['free_bytes'] / 2**30:.1f} GiB are free"
        lines.append(f"{free}: a fit is refused if the data choose bins narrower than {1000 * (least or 0.1):g} ms")
    return lines


def describe_demo(demo: Report) -> str:
    """Return what the demo found as text."""
    truth, by_pca = format_number(demo["truth_r2"]), format_number(demo["pca_truth_r2"])
    reconstructed, pca = format_number(demo["bottleneck_r2"]), format_number(demo["pca_r2"])
    lines = [
        *label_lines("made", [demo["session"]]),
        *label_lines(
            "truth",
            [f"true latents by linear regression on those found: R2 {truth}; on PCA's {by_pca} (held-out trials)"],
        ),
        *label_lines(
            "found", [f"3 latents reconstruct R2 {reconstructed} of the held-out data; PCA with 3 axes {pca}"]
        ),
        *label_lines("took", [f"{demo['seconds']:.0f} s"]),
        *label_lines("written", [f"/processing/dcf/{demo['name']} in {demo['file']}"]),
    ]
    reading = write_reading_lines(str(demo["file"]), str(demo["name"]))
    file = shlex.quote(str(demo["file"]))
    if demo.get("picture"):
        lines += label_lines("picture", [f"{demo['picture']}: latents against time; shaded trials were held out"])
    onward = ["next", f"  nwb-dcf plot {file} -o demo.html", f"  nwb-dcf view {file}"]
    return "\n".join([*lines, "read it", *(f"  {line}" for line in reading), *onward])


def describe_info(catalog: Report) -> str:
    """Return the catalog of a file as text; ``>`` marks what `fit` would take."""
    default = catalog.get("default")
    sources = [
        {
            "": ">" if source["path"] == default else "",
            "source": source["path"],
            "type": source["neurodata_type"],
            "shape": tuple(source["shape"]),
            "unit": source["unit"],
            "clock": _describe_clock(source),
            "span": _describe_span(source),
            "fit": source["problem"] or source["why"],
        }
        for source in catalog["sources"]
    ]
    tables = [
        {
            "": "",
            "intervals": table["path"],
            "rows": table["rows"],
            "times": ", ".join(table["time_columns"]),
            "use": _describe_use(table),
            "columns": ", ".join(name for name in table["columns"] if name not in table["time_columns"]),
        }
        for table in catalog["tables"]
    ]
    takes = f"fit takes {default}" if default else "fit takes nothing unless it is named with --source"
    # above all else: who reads on may already take the numbers for right
    lines = label_lines("doubt", [str(doubt).removeprefix(DOUBT) for doubt in catalog.get("doubts", ())])
    lines += [f"{catalog['file']}: NWB {catalog['nwb_version']}, identifier {catalog['identifier']}"]
    lines += ["", *lay_out_table(sources)] if sources else ["", "no units and no TimeSeries"]
    lines += ["", *lay_out_table(tables)] if tables else ["", "no tables of intervals"]
    fits = ", ".join(catalog["fits"]) or "none yet"
    lines += ["", f"fits in processing/dcf: {fits}", f"{takes}: {catalog['why']}"]
    lines += [f"  {note}" for note in catalog.get("notes", ())]
    if catalog.get("memory_bytes"):
        needed, free = (catalog[key] / 2**30 for key in ("memory_bytes", "free_bytes"))
        lines.append(f"its fit takes about {needed:.1f} GiB of memory; {free:.1f} GiB are free")
    if catalog.get("seconds"):
        lines.append(f"and with the standard settings {describe_duration(catalog['seconds'])} on this CPU")
    for kept in catalog.get("checkpoints", []):
        lines.append(
            f"a fit was ended: {kept.get('fit')} of {kept.get('file')}; the same command with --resume goes on"
        )
    for path in catalog.get("leftovers", []):
        lines.append(f"left by a write that was killed: {path}; the next write in this folder removes it")
    return "\n".join(lines)


def _describe_use(table: Report) -> str:
    """Name the option that can take a table of intervals or of events."""
    trials = table["problem"] or "--trials can name it"
    return f"--align can name it; {trials}" if table.get("is_events") else trials


def _describe_clock(source: Report) -> str:
    if source["rate_hz"]:
        return f"{source['rate_hz']:g} Hz"
    return f"every {source['median_step_s']:.4g} s" if source["median_step_s"] else ""


def _describe_span(source: Report) -> str:
    if source["start_s"] is None or source["duration_s"] is None:
        return ""
    return f"{source['start_s']:.6g} to {source['start_s'] + source['duration_s']:.6g} s"


def describe_input(report: Report, verdict: Sequence[str] = ()) -> list[str]:
    """Describe what was read and what was left out, for a fit or for a plan of one.

    Doubts of the file stand first, since they put everything in doubt, then the lines of `verdict`.
    """
    source = report["source"]
    what = source.get("path") or report.get("kind") or "data"
    of = f" of {source['file']}" if source.get("file") else ""
    width = report.get("bin_width_s")
    between = (report.get("to_choose") or {}).get("bins")
    bins = f"{report.get('bins')} bins of {width * 1000:g} ms" if width else f"{report.get('bins')} frames"
    bins = f"{between[0]} to {between[1]} bins" if between else bins
    dim = {"units": "units", "video": "pixels"}.get(str(report.get("kind")), "channels")
    n_segments = report.get("segments")
    sizes = f"{report.get('channels')} {dim}, {bins} in {n_segments} segment{'' if n_segments == 1 else 's'}"
    # channels that were left out have lines of their own
    all_notes = [str(note) for note in report.get("notes", [])]
    doubts = [note.removeprefix(DOUBT) for note in all_notes if note.startswith(DOUBT)]
    notes = [note for note in all_notes if " left out" not in note and not note.startswith(DOUBT)]
    lines = [*label_lines("doubt", doubts), *verdict, *label_lines("read", [f"{what}{of}: {sizes}", *notes])]
    lines += label_lines("left out", _describe_left_out(report.get("left_out", [])) or ["nothing"])
    split = report.get("split")
    if split:
        counts = f"{split.get('training')} segments for training, {split.get('held_out')} held out"
        lines += label_lines("split", [counts + (f": {split['rule']}" if split.get("rule") else "")])
    return lines


def _describe_dimension(report: Report) -> list[str]:
    """Describe how the number of latents was chosen, with its curve; nothing where it was given."""
    choice = report.get("dimension")
    if not choice:
        return []
    curve = choice["curve"]
    along = ", ".join("0" if abs(value) < CURVE_FLOOR else f"{value:.2g}" for value in curve.get("shared", []))
    lines = [f"{choice['dim']}: {choice['rule']}"]
    return label_lines("dimension", [*lines, f"shared variance along 1, 2, ...: {along}"] if along else lines)


def _describe_left_out(items: Iterable[Report]) -> list[str]:
    """Gather what was left out by kind and reason: ``3 units (3, 8, 12): no spikes``."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item in items:
        # by reason: hundreds of silent units are one line
        groups.setdefault((str(item.get("what")), str(item.get("why"))), []).append(str(item.get("id")))
    lines = []
    for (what, why), ids in groups.items():
        shown = ", ".join(ids[:IDS_SHOWN]) + (f" and {len(ids) - IDS_SHOWN} more" if len(ids) > IDS_SHOWN else "")
        lines.append(f"{len(ids)} {what}{'s' if len(ids) > 1 else ''} ({shown}): {why}")
    return lines


def _has_bins(dataset: Any, provenance: Report) -> bool:
    """Whether the frames are bins of units, alone or joined with other sources."""
    members = provenance.get("source", {}).get("members", [])
    return "units" in (dataset.attrs.get("kind"), *(member.get("kind") for member in members))


def _list_fractions(dataset: Any) -> dict[str, list[float]]:
    """List the fraction of each latent that each source has; nothing where one source was fitted."""
    if "source_share" not in dataset:
        return {}
    fractions = dataset["source_share"].values[: dataset.sizes["latent"]]
    return {str(name): fractions[:, i].tolist() for i, name in enumerate(dataset["source"].values)}
