"""A demonstration: a simulated session with known latents goes the way of any session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.preprocessing import Preprocessor
from ..data.records import JSON
from ..data.synthetic import simulate_lorenz
from ..errors import StoreError
from ..io.results import write_session
from ..metrics import compute_pca_axes, decode_linearly, r2_score
from .fit import fit_nwb
from .plot import plot_nwb, require_plotting
from .stored_source import read_fitted

if TYPE_CHECKING:
    from jaxtyping import Float

    from ..config.progress import Progress

FILE = "nwb_dcf_demo.nwb"


@dataclass(frozen=True)
class DemoReport:
    """What the demonstration found, against the truth it knows.

    Attributes
    ----------
    file, name : str
        The NWB file and the fit in it.
    session : str
        What was simulated.
    truth_r2, pca_truth_r2 : float
        R2 of the three true latents, decoded linearly from the found ones (from PCA's) on held-out trials.
    bottleneck_r2, pca_r2 : float
        R2 of held-out data, reconstructed from three latents and from as many axes of PCA.
    k_eff : int
        Axes that hold 95 % of the variance, noise included.
    seconds : float
    picture : str
        Latents against time, as a file; empty where matplotlib is not installed.
    """

    file: str
    name: str
    session: str
    truth_r2: float
    pca_truth_r2: float
    bottleneck_r2: float
    pca_r2: float
    k_eff: int
    seconds: float
    picture: str

    def to_dict(self) -> JSON:
        """Return the report as a JSON-able dict."""
        return asdict(self)


def run_demo(
    folder: str | Path = ".", *, seed: int = 0, progress: Callable[[Progress], None] | None = None
) -> DemoReport:
    """Simulate a Lorenz system seen through spiking units, write it as NWB, fit the file, compare.

    Parameters
    ----------
    folder : str or Path
        Where the file ``nwb_dcf_demo.nwb`` is left; made if absent. An earlier demo's file is replaced.
    seed : int
        Of the simulation and of the fit.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` every few steps.

    Returns
    -------
    DemoReport

    Raises
    ------
    StoreError
        If `folder` cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder: {error.strerror}", where=str(folder), fix="name another") from error
    simulation = simulate_lorenz(seed=seed)
    path = write_session(simulation.recording, folder / FILE, truth=simulation.truth, seed=seed, overwrite=True)
    result = fit_nwb(path, 3, seed=seed, progress=progress)
    data = result.dataset
    # nearest: float64 times come back from the file, bins may have been chosen anew
    truth = simulation.truth["latents"].sel(time=data["time"], method="nearest").values
    unseen = data["segment_held_out"].values[data["segment_index"].values]

    def decode(latents: Float[np.ndarray, "time latent"]) -> float:
        return r2_score(truth[unseen], decode_linearly(latents[~unseen], truth[~unseen], latents[unseen]))

    preparation = Preprocessor.from_dict(result.provenance["preparation"])
    # PCA of what the fit saw, so that only the method differs
    x = preparation.apply(read_fitted(path, result))["data"].values
    mean, axes = compute_pca_axes(x[~unseen], 3)
    scores, sizes = data.attrs["scores"], simulation.recording.sizes
    return DemoReport(
        file=str(path),
        name=result.name,
        session=f"Lorenz system seen through {sizes['unit']} spiking units, {sizes['segment']} trials",
        # a linear map and no more: latents are to be the state, up to what no method can know
        truth_r2=decode(data["latents"].values),
        pca_truth_r2=decode((x - mean) @ axes),
        bottleneck_r2=scores["bottleneck_r2"],
        pca_r2=scores["pca_r2"],
        k_eff=data.attrs["k_eff"],
        seconds=result.provenance["seconds"],
        picture=_draw_latents(path, result.name),
    )


def _draw_latents(path: Path, name: str) -> str:
    picture = path.with_suffix(".png")
    try:
        require_plotting(html=False)
    except StoreError:  # an extra: the demo shows that a fit works, with a picture or without
        return ""
    plot_nwb(path, name, output=picture, figure="latents", overwrite=True)
    return str(picture)
