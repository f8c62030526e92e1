"""Latents that are one channel each: named in one sentence, with what to do about them.

The certificate and the list of what latents are made of say the same, so that no reader has two pieces of advice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..metrics.channel_fractions import MOST_OF_ONE

LEAVE_OUT = {"unit": " with --units", "roi": " with --rois"}
"""By what a channel is called, the option that takes some of them."""


def get_largest_fraction(top: Mapping[str, Any]) -> float:
    """Return the larger fraction of a channel in a latent, by its loading or through the decoder."""
    return max(float(top["loading_share"]), float(top["decoder_share"] or 0.0))


def describe_single_channels(
    latents: Sequence[Mapping[str, Any]], noun: str, *, scale: str = "", n_channels: int = 0
) -> str:
    """Name the latents that are more than half of one channel, and say what to do.

    Parameters
    ----------
    latents : sequence of mapping
        ``scores["channels"]`` of a fit, see `nwb_dcf.data.records.LatentRecord`.
    noun : str
        What a channel is called, as ``unit``.
    scale : str
        Of the channels: z-scores are no advice where they were taken.
    n_channels : int
        That were fitted; 0 where it is not known.

    Returns
    -------
    str
        Empty where no latent is one channel.
    """
    largest = [(one["latent"], max(one["top"], key=get_largest_fraction)) for one in latents if one["top"]]
    single = [(number, top) for number, top in largest if get_largest_fraction(top) > MOST_OF_ONE]
    if not single:
        return ""
    named = [f"{number} ({noun} {top['channel']}, {get_largest_fraction(top):.0%})" for number, top in single]
    if len(latents) >= n_channels > 0:
        return _describe_uncompressed(named, len(latents), noun, n_channels)
    rescaled = "" if scale == "zscore" else "give all the same say with --scale zscore"
    if len(single) == len(latents) > 1:
        # leaving some out finds others alone; another scale may not, where a few loud ones have all the variance
        themselves = f"look at the {noun}s themselves"
        advice = f"{rescaled}, and if each is one {noun} again, {themselves}" if rescaled else themselves
        shared = f"these latents hold little that {noun}s have in common"
        return f"every latent is one {noun}, {', '.join(named)}: {shared}; {advice}"
    # as many channels must stay as would be more than the latents
    can_leave = n_channels == 0 or n_channels - len(single) > len(latents)
    that = f"that {noun}" if len(single) == 1 else f"those {noun}s"
    ways = [f"leave {that} out{LEAVE_OUT.get(noun, '')}"] if can_leave else []
    ways += [rescaled] if rescaled else []
    again = f": {', or '.join(ways)}, and fit again" if ways else f": look at {that} beside the latents"
    if len(single) == 1:
        number, top = single[0]
        return f"latent {number} is {noun} {top['channel']}, {get_largest_fraction(top):.0%} of it{again}"
    return f"latents {', '.join(named)} are one {noun} each{again}"


def _describe_uncompressed(named: Sequence[str], dim: int, noun: str, n_channels: int) -> str:
    """As many latents as channels: what is one channel could not be anything else."""
    if n_channels == 1:
        return f"1 latent of 1 {noun} compresses nothing, and is that {noun}: record more {noun}s"
    one = len(named) == 1
    each = f"latent {named[0]} is one {noun}" if one else f"latents {', '.join(named)} are one {noun} each"
    advice = f"look at the {noun}s themselves, or record more"
    return f"{dim} latents of {n_channels} {noun}s compress nothing, and {each}: {advice}"
