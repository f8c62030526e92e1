"""Channels with the largest loadings on each latent, one line for each."""

from __future__ import annotations

from collections.abc import Sequence

from .text_layout import Report

LATENTS_SHOWN = 8  # more would fill a terminal; --json has all


def describe_channels(latents: Sequence[Report] | None, dim: str, scale: str = "", n_channels: int = 0) -> list[str]:
    """Name the channels with the largest fraction of each latent, and warn where one has more than half.

    Parameters
    ----------
    latents : sequence of mapping, or None
        ``scores["channels"]`` of a fit; None in fits of versions that did not measure it.
    dim : str
        What a channel is called.
    scale : str
        Of the channels: z-scores are no advice where they were taken.
    n_channels : int
        That were fitted; 0 where it is not known.
    """
    from ..data.single_channels import describe_single_channels  # --help need not wait for it

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
    alone = describe_single_channels(latents, dim, scale=scale, n_channels=n_channels)
    return [*lines, f"warning: {alone}"] if alone else lines


def _show_channel(one: Report) -> str:
    fraction = f"{one['loading_share']:.0%}"
    decoded = one["decoder_share"]
    # a decoder that is not linear may use a channel more, or less, than its loading suggests
    return (
        f"{one['channel']} ({fraction})" if decoded is None else f"{one['channel']} ({fraction}, {decoded:.0%} decoded)"
    )
