"""The table of scores of a fit: one row a measure, DCF beside PCA with as many axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .text_layout import Report, format_number, label_lines, lay_out_table

CURVE_TOLERANCE = 5e-4  # of R2: smaller differences change with the seed


def describe_scores(fit: Report, *, verbose: bool = False) -> list[str]:
    """Lay out the scores of a report as `summarise_fit` makes it, with `verbose` also the length of paths."""
    scores, dim = fit["scores"], fit["dim"]
    if scores.get("bottleneck_r2") is None:  # as of a session of a cohort, whose scores are the cohort's
        return []
    intervals: Mapping[str, Sequence[float]] = scores.get("intervals") or {}

    def show(name: str) -> str:
        ends = intervals.get(name)
        return format_number(scores.get(name)) + (f" [{', '.join(map(format_number, ends))}]" if ends else "")

    latents = f"{dim} latent{'' if dim == 1 else 's'}"
    row = {
        "": f"R2 of {scores.get('on', 'held-out data')}, {latents}",
        "DCF": show("bottleneck_r2"),
        "PCA": show("pca_r2"),
    }
    rows = [row | ({"difference": show("difference_r2")} if "difference_r2" in intervals else {})]
    if "deviance_explained" in scores:
        # rates against the counts themselves: R2 above is of smoothed and scaled ones
        about = "Poisson deviance explained, unsmoothed counts"
        rows.append({"": about, "DCF": show("deviance_explained"), "PCA": show("pca_deviance_explained")})
    if verbose and "smoothness" in scores:
        lengths = [format_number(scores[name], 1) for name in ("smoothness", "pca_smoothness")]
        rows.append({"": "length of paths over their displacement", "DCF": lengths[0], "PCA": lengths[1]})
    return label_lines("scores", lay_out_table(rows)) + label_lines("curve", _describe_curve(fit))


def _describe_curve(fit: Report) -> list[str]:
    """Name the numbers of latents at which PCA reconstructs more: one fit has a curve over all of them."""
    ours, pca = (list(fit.get(name, ())) for name in ("bottleneck_r2", "pca_r2"))
    # the decoder is trained most at the number asked for; at others PCA, which is exact for each, may lead
    below = [k for k, (mine, other) in enumerate(zip(ours, pca, strict=False), 1) if other - mine > CURVE_TOLERANCE]
    if not below:
        return []
    # at the fit's own number, and where there are no more channels than that, another fit would change nothing
    others = [k for k in below if k != fit["dim"]] if len(ours) > fit["dim"] else []
    advice = f": to use {_join_ranges(others)}, fit again with that --dim" if others else ""
    return [f"below PCA with {_join_ranges(below)} latents of {len(ours)}{advice}"]


def _join_ranges(numbers: Sequence[int]) -> str:
    """Return ``[1, 2, 3, 6]`` as ``1 to 3, 6``."""
    runs: list[list[int]] = []
    for number in numbers:
        # longer runs by their ends: thirty numbers in a row are not read
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
