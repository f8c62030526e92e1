"""The methods that DCF is measured against, on the same prepared frames and the same split.

Principal components, factor analysis, an autoencoder, a variational autoencoder and CEBRA-Time; the first
and the networks also with a window of two frames on either side. Networks are as wide and deep as DCF's own, stop early
on a fifth of the training segments and are then refitted to all of them for the steps found, as DCF is.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from autoencoder import Plan, train_autoencoder
from torch import Tensor

from nwb_dcf.metrics import compute_pca_axes

DROPOUT = 0.2  # share of channels that a network does not see in training; none of images
CEBRA_RATE = 3e-4
WINDOW = 2  # frames before and after
MOST_INPUTS = 256  # wider data enter the networks through as many principal axes
TUNED = {"width": 256, "depth": 2, "patience": 400}  # what times are beside: it stops when nothing gets better
TUNED_STEPS = 4_000  # at most


@dataclass(frozen=True)
class Code:
    """A fitted method.

    Attributes
    ----------
    encode : function of (frames, segment)
        Prepared frames (time, channel) and the segment of each, to latents (time, dim).
    rebuild : function of latents, or None
        Latents to prepared frames; None for a method that cannot.
    ordered : bool
        Whether the axes come in an order that the method defines.
    samples : int
        Frames shown in training, all passes together; 0 where there is a closed form.
    """

    encode: Callable[[np.ndarray, np.ndarray], np.ndarray]
    rebuild: Callable[[np.ndarray], np.ndarray] | None
    ordered: bool
    samples: int = 0


@dataclass(frozen=True)
class Rival:
    """A method by name: `fit` takes frames, segment, dim, seed and steps; `learned` ones depend on the seed.

    The first axes of `nested` ones are the same however many there are.
    """

    name: str
    fit: Callable[[np.ndarray, np.ndarray, int, int, int], Code]
    learned: bool
    nested: bool = False


def find_rivals() -> list[Rival]:
    """List the rivals that are installed."""
    networks = [
        Rival(name + (", window" if window else ""), _network(name == "VAE", window), learned=True)
        for name in ("autoencoder", "VAE")
        for window in (0, WINDOW)
    ]
    found = [
        Rival("PCA", _fit_pca, learned=False, nested=True),
        Rival("PCA, window", _fit_window_pca, learned=False, nested=True),
        Rival("factor analysis", _fit_factors, learned=False),
        *networks,
    ]
    return [*found, Rival("CEBRA-Time", _fit_cebra, True)] if importlib.util.find_spec("cebra") else found


def find_tuned() -> list[Rival]:
    """List the autoencoders that times are told beside: 256 x 2, until nothing gets better, refitted to all segments.

    One reads wide data by their principal axes, as all networks here do, and one as they are, as a user's would.
    """

    def make(name: str, most_inputs: int) -> Rival:
        fit = _network(variational=False, window=0, most_inputs=most_inputs, **TUNED)
        return Rival(name, lambda x, s, dim, seed, _: fit(x, s, dim, seed, TUNED_STEPS), learned=True)

    return [make("autoencoder, tuned", MOST_INPUTS), make("autoencoder, tuned, pixels", 2**31)]


def stack_window(x: np.ndarray, segment: np.ndarray, reach: int) -> np.ndarray:
    """Put the frames t - reach ... t + reach side by side; at the ends of a segment its last frame repeats.

    Parameters
    ----------
    x : array, shape (time, channel)
    segment : array of int, shape (time,)
    reach : int

    Returns
    -------
    array, shape (time, (2 * reach + 1) * channel)
    """
    frame = np.arange(len(x))
    first = np.searchsorted(segment, segment, side="left")
    last = np.searchsorted(segment, segment, side="right") - 1
    return np.concatenate([x[np.clip(frame + lag, first, last)] for lag in range(-reach, reach + 1)], axis=1)


# -- closed forms ------------------------------------------------------------------------------------


def _fit_pca(x: np.ndarray, segment: np.ndarray, dim: int, seed: int, steps: int) -> Code:
    mean, axes = compute_pca_axes(x, dim)
    return Code(lambda y, _: (y - mean) @ axes, lambda z: mean + z @ axes.T, ordered=True)


def _fit_window_pca(x: np.ndarray, segment: np.ndarray, dim: int, seed: int, steps: int) -> Code:
    """Principal axes of the window; the frame in its middle is rebuilt by least squares."""
    basis = _find_basis(x)
    windows = stack_window(basis.read(x), segment, WINDOW)
    mean, axes = compute_pca_axes(windows, dim)
    z = np.column_stack([np.ones(len(x)), (windows - mean) @ axes])
    back = np.linalg.lstsq(z, x.astype(np.float64), rcond=None)[0]
    return Code(
        lambda y, s: (stack_window(basis.read(y), s, WINDOW) - mean) @ axes,
        lambda z: np.column_stack([np.ones(len(z)), z]) @ back,
        ordered=True,
    )


def _fit_factors(x: np.ndarray, segment: np.ndarray, dim: int, seed: int, steps: int) -> Code:
    from sklearn.decomposition import FactorAnalysis

    basis = _find_basis(x) if x.shape[1] > 4 * MOST_INPUTS else _Basis(np.zeros(x.shape[1]), None)
    model = FactorAnalysis(dim, random_state=seed).fit(basis.read(x).astype(np.float64))
    order = np.argsort(-np.square(model.components_).sum(axis=1))  # by the variance each factor carries
    components = model.components_[order]
    return Code(
        lambda y, _: model.transform(basis.read(y))[:, order],
        lambda z: basis.write(z @ components + model.mean_),
        ordered=True,
    )


# -- networks ----------------------------------------------------------------------------------------


def _network(
    variational: bool, window: int, most_inputs: int = MOST_INPUTS, **more: int
) -> Callable[[np.ndarray, np.ndarray, int, int, int], Code]:
    def fit(x: np.ndarray, segment: np.ndarray, dim: int, seed: int, steps: int) -> Code:
        basis = _find_basis(x, most_inputs)
        values = basis.read(x)
        scale = float(np.sqrt(values.var(axis=0).mean()))

        def read(y: np.ndarray, s: np.ndarray) -> Tensor:
            return torch.as_tensor(stack_window(basis.read(y) / scale, s, window), dtype=torch.float32)

        inputs, targets = read(x, segment), torch.as_tensor(values / scale, dtype=torch.float32)
        plan = Plan(dim, variational, 0.0 if basis.axes is not None else DROPOUT, seed, steps, **more)
        net, samples = train_autoencoder(inputs, targets, segment, plan)

        def encode(y: np.ndarray, s: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return net.encode(read(y, s)).numpy()

        def rebuild(z: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return basis.write(net.decoder(torch.as_tensor(z, dtype=torch.float32)).numpy() * scale)

        return Code(encode, rebuild, ordered=False, samples=samples)

    return fit


@dataclass(frozen=True)
class _Basis:
    """Principal axes that wide data enter and leave networks by; none for narrow data."""

    mean: np.ndarray
    axes: np.ndarray | None

    def read(self, x: np.ndarray) -> np.ndarray:
        return x - self.mean if self.axes is None else (x - self.mean) @ self.axes

    def write(self, y: np.ndarray) -> np.ndarray:
        return self.mean + (y if self.axes is None else y @ self.axes.T)


def _find_basis(x: np.ndarray, most_inputs: int = MOST_INPUTS) -> _Basis:
    if x.shape[1] <= most_inputs:
        return _Basis(x.mean(axis=0), None)
    return _Basis(*compute_pca_axes(x, min(MOST_INPUTS, len(x) - 1)))


# -- contrastive -------------------------------------------------------------------------------------


def _fit_cebra(x: np.ndarray, segment: np.ndarray, dim: int, seed: int, steps: int) -> Code:
    """CEBRA-Time: neighbours in time are alike. It has no way back, and its codes lie on a sphere."""
    import cebra

    basis = _find_basis(x)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = cebra.CEBRA(
            model_architecture="offset1-model",
            output_dimension=dim,
            max_iterations=steps,
            batch_size=min(512, len(x)),
            learning_rate=CEBRA_RATE,
            temperature_mode="auto",
            conditional="time",
            time_offsets=1,
            device="cpu",
            verbose=False,
        ).fit(basis.read(x).astype(np.float32))
    model = copy.copy(model)
    return Code(
        lambda y, _: np.asarray(model.transform(basis.read(y).astype(np.float32))),
        None,
        ordered=False,
        samples=steps * min(512, len(x)),
    )
