"""A fit in a few lines, for a terminal and for a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import xarray as xr

from .certificate import summarise_certificate

if TYPE_CHECKING:
    from .records import Gain, Provenance

GAINS = {"reconstruction": "reconstruction", "left_out": "left-out channels"}


def summarise_fit(dataset: xr.Dataset, provenance: Provenance, name: str = "") -> dict[str, str]:
    """Return the facts of a fit by their labels; facts that are not known are left out.

    Parameters
    ----------
    dataset, provenance, name
        Those of a `nwb_dcf.DCFResult`.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> data = xr.Dataset({"latents": (("time", "latent"), np.zeros((5, 2))), "mean": ("unit", np.zeros(4))})
    >>> summarise_fit(data, {})
    {'fit': '2 latents of 4 units', 'frames': '5'}
    """
    data, dim = dataset, dataset.sizes["latent"]
    scores, source = data.attrs.get("scores") or {}, provenance.get("source") or {}
    dims = [str(dim) for dim in data["mean"].dims] if "mean" in data else []
    # images have a mean over y and x, whose sizes say more than their product
    channels = f"{data['mean'].size} {dims[0]}s" if len(dims) == 1 else " x ".join(map(str, data["mean"].shape))
    facts = {"fit": f"{name + ': ' if name else ''}{dim} latents of {channels}"}
    if source.get("path") or source.get("file"):
        facts["source"] = f"{source.get('path', '')} of {source.get('file', '')}".strip()
    segments = data.sizes.get("segment")
    facts["frames"] = f"{data.sizes['time']:,}" + (f" in {segments} segments" if segments and segments > 1 else "")
    r2, pca = scores.get("bottleneck_r2"), scores.get("pca_r2")
    if r2 is not None:
        beside = "" if pca is None else f"; PCA {pca:.3f}"
        facts["R2"] = f"{r2:.3f} of {scores.get('on', 'the data')}{beside}"
    reach = ((scores.get("rollout") or {}).get("horizon") or {}).get("rollout")
    if reach is not None:
        facts["rollouts"] = f"beat persistence until frame {reach}" if reach else "do not beat persistence"
    for one in summarise_certificate(scores.get("certificate") or ()):
        facts[one["group"]] = f"{one['verdict']}: {one['sentence']}"
    if encoder := describe_encoder(provenance):
        facts["encoder"] = encoder
    if provenance.get("interrupted"):
        facts["partial"] = "training was interrupted"
    return facts


def describe_encoder(provenance: Provenance) -> str:
    """Say whether the latents are a trained encoder's or PCA's, and why; nothing where no frames chose between them.

    Examples
    --------
    >>> describe_encoder({"encoder": {"trained": False, "why": "nothing was held out"}})
    "the latents equal PCA's (nothing was held out); only the decoder is new"
    """
    choice, learned = provenance.get("encoder") or {}, provenance.get("learned") or {}
    if not choice:
        # of counts the encoder and u have one best step, and the start of both is PCA's
        stayed = learned.get("encoder") and not learned.get("axes") and (provenance.get("steps") or {}).get("u") == 0
        return "the latents equal PCA's (no trained encoder did better on held-out data)" if stayed else ""
    gains = choice.get("gains") or {}
    shown = "; ".join(f"{GAINS[name]} R2 {_show_gain(gain)}" for name, gain in gains.items() if name in GAINS)
    over = next((f", over {gain['n']} {gain['over']}" for gain in gains.values()), "")
    if choice.get("trained"):
        return f"the latents are a trained encoder's, better than PCA's on held-out data ({shown}{over})"
    mixed = any(gain["low"] > 0 for gain in gains.values())
    did = "a trained encoder did better at one and worse at the other" if mixed else "no trained encoder did better"
    why = choice.get("why") or f"{did} on held-out data: {shown}{over}"
    untrained = (provenance.get("steps") or {}).get("u") == 0
    new = "and so does what is decoded from them" if untrained else "only the decoder is new"
    return f"the latents equal PCA's ({why}); {new}"


def _show_gain(gain: Gain) -> str:
    low, high = (f"{gain[end]:+.3f}" for end in ("low", "high"))
    return f"{gain['value']:+.3f} [{low}, {high}]"


def format_summary(facts: dict[str, str]) -> str:
    """Return facts as lines of text, their labels aligned."""
    width = max(map(len, facts)) + 2
    return "\n".join(f"{label:<{width}}{text}" for label, text in facts.items())


def format_summary_html(facts: dict[str, str]) -> str:
    """Return facts as a table of HTML; names come from files and are escaped."""
    rows = (f"<tr><th>{html.escape(label)}</th><td>{html.escape(text)}</td></tr>" for label, text in facts.items())
    return f"<table>{''.join(rows)}</table>"
