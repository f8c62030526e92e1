"""What a fit found, line by line: how well it rebuilds, how far it foretells, and what stands against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .layout import format_number, label_lines


def describe_findings(fit: Mapping[str, Any]) -> list[str]:
    """Describe the scores of a report as `summarise_fit` makes it."""
    scores = fit["scores"]
    return [
        *label_lines("found", _describe_rebuilding(fit)),
        *label_lines("sources", _describe_shares(fit.get("source_share") or {})),
        *label_lines("rollouts", _describe_rollouts(scores.get("rollout"))),
        *label_lines("null", _describe_null(scores.get("null"), fit["dim"])),
        *label_lines("agreement", _describe_agreement(scores.get("agreement"))),
        *label_lines("support", _describe_support(fit.get("support"))),
    ]


def _describe_rebuilding(fit: Mapping[str, Any]) -> list[str]:
    scores, dim = fit["scores"], fit["dim"]
    intervals = scores.get("intervals") or {}

    def show(name: str) -> str:
        ends = intervals.get(name)
        return format_number(scores.get(name)) + (f" [{', '.join(map(format_number, ends))}]" if ends else "")

    rebuilt = f"{dim} latents rebuild R2 {show('bottleneck_r2')} of the {scores.get('on', 'held-out data')}"
    by_pca = f"PCA with {dim} ax{'i' if dim == 1 else 'e'}s {show('pca_r2')}"
    by = f", difference {show('difference_r2')}" if "difference_r2" in intervals else ""
    k_eff = f"effective dimension K_eff {fit['k_eff'] if fit['k_eff'] is not None else 'unknown'}"
    if "smoothness" in scores:
        paths = (format_number(scores[name], 1) for name in ("smoothness", "pca_smoothness"))
        k_eff += "; paths are {} times as long as their displacement, PCA's {}".format(*paths)
    lines = [f"{rebuilt}; {by_pca}{by}", k_eff]
    if "deviance_explained" in scores:
        shown = f"{show('deviance_explained')} of the Poisson deviance of unsmoothed counts"
        lines.append(f"{shown}; PCA {show('pca_deviance_explained')}")
    return lines


def _describe_shares(shares: Mapping[str, Sequence[float]]) -> list[str]:
    """Say of which source each axis is."""
    return [
        f"{name} has {', '.join(f'{100 * share:.0f} %' for share in of)} of axes 1 to {len(of)}"
        if len(of) > 1
        else f"{name} has {100 * of[0]:.0f} % of the axis"
        for name, of in shares.items()
    ]


def _describe_rollouts(rollout: Mapping[str, Any] | None) -> list[str]:
    """Say how far simulations from held-out starts reach, beside an autoregression."""
    if not rollout:
        return []
    if "horizon" not in rollout:
        return [f"not measured: {rollout.get('not_measured')}"]
    reach, rival = (rollout["horizon"][name] for name in ("rollout", "ar3"))
    seconds = f"{reach * rollout['step_s']:.3g} s"
    if reach == 0:
        how = "do not beat 'stay' one frame ahead"
    elif reach == rollout["leads"]:
        how = f"beat 'stay' to the last frame measured, {reach} ({seconds})"
    else:
        how = f"beat 'stay' until frame {reach} ({seconds})"
    return [f"{how}; ridge AR(3) does until {rival}" if rival else f"{how}; ridge AR(3) never does"]


def _describe_null(null: Mapping[str, Any] | None, dim: int) -> list[str]:
    """Say what fits to channels shifted apart found, and what they leave."""
    if not null:
        return []
    stopped = f" (stopped: {null['stopped']})" if null.get("stopped") else ""
    if not null["fits"]:
        return [f"not measured{stopped}"]
    fits = "1 fit" if null["fits"] == 1 else f"{null['fits']} fits"
    p, pca_p = (format_number(null[name], 2) for name in ("p", "pca_p"))
    found = f"R2 {_show_range(null['bottleneck_r2'])} (p {p}); PCA {_show_range(null['pca_r2'])} (p {pca_p})"
    return [f"{fits} to channels shifted apart in time{stopped}: {dim} latents {found}", str(null["survives"])]


def _describe_agreement(agreement: Mapping[str, Any] | None) -> list[str]:
    """Say how well axes repeat when segments are resampled: planes where axes may turn into each other."""
    if not agreement:
        return []
    stopped = f" (stopped: {agreement['stopped']})" if agreement.get("stopped") else ""
    if not {"axes", "pca_axes", "pca_planes"} <= agreement.keys():
        return [f"not measured{stopped}"]
    planes = [
        f"; span of {' and '.join(map(str, group))} {format_number(mine, 2)}, PCA's {format_number(pca, 2)}"
        for group, mine, pca in zip(agreement["groups"], agreement["planes"], agreement["pca_planes"], strict=True)
        if len(group) > 1
    ]
    ours, pca_axes = (", ".join(format_number(value, 2) for value in agreement[name]) for name in ("axes", "pca_axes"))
    over = f"{agreement['fits']} fits to resampled {agreement['over']}{stopped}"
    return [f"axes 1, 2, ... of {over}: {ours}; PCA's {pca_axes}{''.join(planes)}"]


def _describe_support(support: Mapping[str, Any] | None) -> list[str]:
    """Warn where latents look into the future."""
    if not support or support["causal"]:
        return []
    frames, sigma_s, seen = support["frames_after"], support["smoothing"]["sigma_s"], []
    if frames:
        seen.append(f"{frames} frame{'' if frames == 1 else 's'} ({_show_span(support['seconds'])})")
    if sigma_s:
        seen.append(f"a {_show_span(sigma_s)} Gaussian")
    return [f"latents see {' and '.join(seen)} to either side: no latencies from them"]


def _show_range(values: Sequence[float]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "unknown"
    low, high = format_number(min(known)), format_number(max(known))
    return low if low == high else f"{low} to {high}"


def _show_span(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
