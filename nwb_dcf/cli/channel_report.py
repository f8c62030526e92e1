"""Channels with the largest loadings on each latent, one line for each."""

from __future__ import annotations

from collections.abc import Sequence

from .text_layout import Report

LATENTS_SHOWN = 8  # more would fill a terminal; --json has all


def describe_channels(latents: Sequence[Report] | None, dim: str, scale: str = "") -> list[str]:
    """Name the channels with the largest fraction of each latent, and warn where one has more than half.

    Parameters
    ----------
    latents : sequence of mapping, or None
        ``scores["channels"]`` of a fit; None in fits of versions that did not measure it.
    dim : str
        What a channel is called.
    scale : str
        Of the channels: z-scores are no advice where they were taken.
    """
    if not latents:
        return []
    lines = []
    for latent in latents[:LATENTS_SHOWN]:
        top = ", ".join(_show_channel(one) for one in latent["top"])
        lines.append(f"latent {latent['latent']}: {dim} {top}; {latent['effective_channels']:.1f} effective {dim}s")
    rest = len(latents) - LATENTS_SHOWN
    if rest > 0:
        lines.append(f"and {rest} more")
    # of all latents, shown or not: this is what a reader must not miss
    alone = [latent for latent in latents if latent["one_channel"]]
    named = [(latent["latent"], max(latent["top"], key=_get_fraction)["channel"]) for latent in alone]
    equal = "" if scale == "zscore" else ", or give all the same say with --scale zscore,"
    if len(named) == 1:
        lines.append(
            f"warning: latent {named[0][0]} is {dim} {named[0][1]} alone, more than half of it: leave that {dim} out"
            f"{equal} and fit again"
        )
    each = ", ".join(f"{latent} ({dim} {channel})" for latent, channel in named)
    if len(named) == len(latents) > 1:
        # leaving one out, or another scale, would find the others alone: it is no advice
        lines.append(
            f"warning: every latent is one {dim}, more than half of it, {each}: these latents hold little that {dim}s "
            "have in common"
        )
    elif len(named) > 1:
        lines.append(
            f"warning: latents {each} are one {dim} each, more than half of it: fit fewer latents, leave those {dim}s "
            f"out{equal} and fit again"
        )
    return lines


def _get_fraction(one: Report) -> float:
    return float(max(one["loading_share"], one["decoder_share"] or 0.0))


def _show_channel(one: Report) -> str:
    fraction = f"{one['loading_share']:.0%}"
    decoded = one["decoder_share"]
    # a decoder that is not linear may use a channel more, or less, than its loading suggests
    return (
        f"{one['channel']} ({fraction})" if decoded is None else f"{one['channel']} ({fraction}, {decoded:.0%} decoded)"
    )
