from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from nwb_dcf.model import principal_axes
from nwb_dcf.model.coupling import Coupling
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.encoder import NORM_CAP, Encoder, make_features
from nwb_dcf.model.losses import alignment_loss
from nwb_dcf.model.nested_dropout import mask_prefix
from nwb_dcf.model.principal_axes import compute_principal_axes

from .conftest import VARIANCES, draw_gaussian, fill_randomly, rotate, to_numpy

Make = Callable[..., DCFModel]

MOMENTUM = 0.9


def make_encoder(n_channels: int, k_max: int, linear_start: bool) -> Encoder:
    network = make_features(n_channels, k_max, width=4, depth=1)
    linear = "fixed" if linear_start else "none"
    return Encoder(network, n_channels, k_max, window=0, dropout=0.0, linear=linear, momentum=MOMENTUM)


def make_coupling(linear_start: bool = True) -> Coupling:
    """Three channels, two axes, everything by hand: L = (e1, e3), d = (4, 9), b = (1, 2, 3)."""
    coupling = Coupling(make_encoder(3, 2, linear_start), 3, 2, linear_start=linear_start).eval()
    with torch.no_grad():
        coupling.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
        coupling.axes.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]))
        coupling.log_variance.copy_(torch.tensor([4.0, 9.0]).log())
        coupling.encoder.whitening.data.copy_(torch.tensor([[0.5, 0.0], [0.0, 0.0], [0.0, 1 / 3]]))
    return coupling


def test_equation_1_by_hand() -> None:
    coupling = make_coupling()
    x = torch.tensor([[3.0, 7.0, 0.0]])
    np.testing.assert_allclose(to_numpy(coupling.encode(x)), [[1.0, -1.0]], atol=1e-6)
    np.testing.assert_allclose(to_numpy(coupling.place(coupling.encode(x))), [[3.0, 2.0, 0.0]], atol=1e-6)
    masked = coupling.encode(x) * torch.tensor([[1.0, 0.0]])
    np.testing.assert_allclose(to_numpy(coupling.place(masked)), [[3.0, 2.0, 3.0]], atol=1e-6)


def test_place_and_read_undo_each_other_on_the_axes(make_model: Make) -> None:
    coupling = make_model(draw_gaussian(), k_max=3).coupling
    codes = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(to_numpy(coupling.read(coupling.place(codes))), to_numpy(codes), atol=1e-5)
    off_axes = torch.randn(50, 6, generator=torch.Generator().manual_seed(2))
    off_axes = off_axes - off_axes @ coupling.axes @ coupling.axes.T
    np.testing.assert_allclose(to_numpy(coupling.read(coupling.place(codes) + off_axes)), to_numpy(codes), atol=1e-5)


def test_split_parts_add_up_and_only_the_prefix_is_kept() -> None:
    coupling = make_coupling()
    x = torch.tensor([[3.0, 7.0, 0.0], [3.0, 7.0, 0.0]])
    kept, dropped = coupling.make_axes().split(x, mask_prefix(torch.tensor([1, 2]), 2))
    np.testing.assert_allclose(to_numpy(kept), [[1.0, 0.0], [1.0, -1.0]], atol=1e-6)
    np.testing.assert_allclose(to_numpy(dropped), [[0.0, 5.0, -3.0], [0.0, 5.0, 0.0]], atol=1e-6)
    np.testing.assert_allclose(to_numpy(coupling.place(kept) + dropped), to_numpy(x), atol=1e-6)
    vector = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    along = coupling.make_axes().project(vector, mask_prefix(torch.tensor([1, 2]), 2))
    np.testing.assert_allclose(to_numpy(along), [[1.0, 0.0, 0.0], [1.0, 0.0, 3.0]], atol=1e-6)


def test_orthonormalising_restores_the_axes_and_keeps_their_prefixes() -> None:
    coupling = Coupling(make_encoder(6, 4, False), 6, 4, linear_start=False)
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(6, 4, generator=generator)
    other = torch.cat([raw[:, :2], torch.randn(6, 2, generator=generator)], dim=1)
    results = []
    for start in (raw, other):
        with torch.no_grad():
            coupling.axes.copy_(start)
        coupling.orthonormalise()
        q = to_numpy(coupling.axes)
        np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-6)
        r = q.T @ to_numpy(start)
        np.testing.assert_allclose(np.tril(r, -1), 0, atol=1e-6)
        assert (np.diag(r) > 0).all()
        results.append(q)
    np.testing.assert_allclose(results[0][:, :2], results[1][:, :2], atol=1e-6)
    assert np.abs(results[0][:, 2:] - results[1][:, 2:]).max() > 0.1


def test_orthonormal_axes_are_left_alone_to_the_bit() -> None:
    coupling = Coupling(make_encoder(6, 4, False), 6, 4, linear_start=False)
    before = coupling.axes.detach().clone()
    coupling.orthonormalise()
    assert torch.equal(coupling.axes, before)


def test_principal_axes_are_the_eigenvectors_of_the_covariance() -> None:
    x = draw_gaussian()
    found = compute_principal_axes(x)
    values, vectors = np.linalg.eigh(np.cov(x.double().numpy().T, bias=True))
    np.testing.assert_allclose(to_numpy(found.variance), values[::-1], rtol=1e-5)
    np.testing.assert_allclose(to_numpy(found.variance), VARIANCES, rtol=1e-4)
    np.testing.assert_allclose(np.abs(vectors[:, ::-1].T @ to_numpy(found.axes)), np.eye(6), atol=1e-4)
    np.testing.assert_allclose(to_numpy(found.mean), np.arange(1, 7), atol=1e-5)
    assert found.total == pytest.approx(sum(VARIANCES), rel=1e-5)
    assert found.rank == 6
    largest = found.axes.gather(0, found.axes.abs().argmax(0, keepdim=True))
    assert (largest > 0).all()


def test_rank_counts_only_axes_that_vary() -> None:
    flat = draw_gaussian(variances=(4.0, 2.0, 1.0)) @ rotate(8, 5)[:3].float()
    found = compute_principal_axes(flat)
    assert found.rank == 3
    assert found.axes.shape == (8, 3)
    np.testing.assert_allclose(to_numpy(found.variance), [4, 2, 1], rtol=1e-4)


def test_more_channels_than_frames_give_the_same_axes() -> None:
    x = torch.randn(7, 30, generator=torch.Generator().manual_seed(0)) * torch.linspace(3, 0.5, 30)
    found = compute_principal_axes(x)
    centred = x.double().numpy() - x.double().numpy().mean(0)
    _, s, vt = np.linalg.svd(centred, full_matrices=False)
    assert found.rank == 6
    np.testing.assert_allclose(to_numpy(found.variance), s[:6] ** 2 / 7, rtol=1e-4)
    np.testing.assert_allclose(np.abs(vt[:6] @ to_numpy(found.axes)), np.eye(6), atol=1e-3)


@pytest.mark.parametrize("shape", [(90, 60), (50, 80)])
def test_randomised_axes_agree_with_exact_ones_and_repeat(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(shape, generator=generator) * 1.3 ** -torch.arange(shape[1])
    x = x @ rotate(shape[1], 6).float()
    exact = compute_principal_axes(x, most=10)
    monkeypatch.setattr(principal_axes, "EXACT_SIZE", 20)
    state = torch.random.get_rng_state()
    found = compute_principal_axes(x, most=10, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert found.axes.shape == (shape[1], 10)
    np.testing.assert_allclose(to_numpy(found.variance), to_numpy(exact.variance), rtol=1e-4)
    np.testing.assert_allclose(np.abs(to_numpy(found.axes.T @ exact.axes)), np.eye(10), atol=5e-3)
    assert found.total == pytest.approx(exact.total)
    assert torch.equal(found.axes, compute_principal_axes(x, most=10, seed=1).axes)


def test_pca_start_whitens_the_scores(make_model: Make) -> None:
    x = draw_gaussian()
    coupling = make_model(x, k_max=4).coupling
    mu = to_numpy(coupling.encode(x))
    np.testing.assert_allclose(mu.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(mu.T @ mu / len(mu), np.eye(4), atol=1e-4)
    np.testing.assert_allclose(to_numpy(coupling.variance), VARIANCES[:4], rtol=1e-4)
    np.testing.assert_allclose(mu, to_numpy(coupling.read(x)), atol=1e-5)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_pca_start_is_the_optimum_of_the_alignment_loss(make_model: Make, k: int) -> None:
    x = draw_gaussian()
    model = make_model(x, k_max=4)
    x0 = model.coupling.place(model.coupling.encode(x) * model.mask(k, x))
    loss = alignment_loss(x, x0, torch.ones(len(x)))
    assert float(loss.detach()) == pytest.approx(sum(VARIANCES[k:]) / 6, rel=1e-4)


def test_random_start_takes_only_the_mean_from_the_data(make_model: Make) -> None:
    x = draw_gaussian()
    model = make_model(x, start="random")
    np.testing.assert_allclose(to_numpy(model.coupling.mean), np.arange(1, 7), atol=1e-5)
    np.testing.assert_allclose(to_numpy(model.coupling.variance), 1)
    assert model.coupling.encoder.whitening is not None
    assert model.coupling.encoder.whitening.any()
    gram = model.coupling.axes.T @ model.coupling.axes
    np.testing.assert_allclose(to_numpy(gram), np.eye(6), atol=1e-5)
    cosine = np.abs(to_numpy(model.coupling.axes.T @ compute_principal_axes(x).axes))
    assert cosine.diagonal().min() < 0.9


def test_raw_features_are_capped_in_length() -> None:
    encoder = make_encoder(2, 2, True).eval()
    encoder.whitening.data.copy_(torch.eye(2))
    inside, outside = torch.tensor([[0.6 * NORM_CAP, 0.0]]), torch.tensor([[3.0 * NORM_CAP, 4.0 * NORM_CAP]])
    np.testing.assert_allclose(to_numpy(encoder(inside)), to_numpy(inside))
    np.testing.assert_allclose(to_numpy(encoder(outside)), [[0.6 * NORM_CAP, 0.8 * NORM_CAP]], rtol=1e-6)


def test_running_statistics_move_in_training_alone() -> None:
    encoder = make_encoder(2, 2, True)
    encoder.whitening.data.copy_(torch.eye(2))
    x = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    encoder.eval()(x)
    np.testing.assert_allclose(to_numpy(encoder.running_mean), 0)
    mu = encoder.train()(x)
    mean = (1 - MOMENTUM) * np.array([2.0, 20.0])
    variance = MOMENTUM * 1 + (1 - MOMENTUM) * np.array([1.0, 100.0])
    np.testing.assert_allclose(to_numpy(encoder.running_mean), mean, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(encoder.running_variance), variance, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(mu), (x.numpy() - mean) / np.sqrt(variance), rtol=1e-5)


def test_a_learned_encoder_ends_with_zero_mean_and_unit_variance(make_model: Make) -> None:
    x = draw_gaussian()
    encoder = make_model(x, start="random", momentum=MOMENTUM).coupling.encoder
    fill_randomly(encoder, 0.7)
    encoder.train()
    for _ in range(100):
        mu = encoder(x - x.mean(0))
    np.testing.assert_allclose(to_numpy(mu.mean(0)), 0, atol=1e-3)
    np.testing.assert_allclose(to_numpy(mu.var(0)), 1, atol=1e-2)


def test_the_linear_part_reads_the_frame_in_the_middle_of_its_window(make_model: Make) -> None:
    x = draw_gaussian()
    model = make_model(x, encoder_window=1)
    windows = torch.stack([x[:-2], x[1:-1], x[2:]], dim=1)
    np.testing.assert_allclose(
        to_numpy(model.coupling.encode(windows)), to_numpy(model.coupling.encode(x[1:-1])), atol=1e-5
    )
