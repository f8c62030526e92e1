"""Which methods a comparison takes, and that each gives what it promises."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nwb_dcf.compare import methods
from nwb_dcf.compare.methods import METHODS, Frames, choose_methods, load_method
from nwb_dcf.compare.watch import Watch
from nwb_dcf.config.progress import Progress
from nwb_dcf.errors import ParameterError
from nwb_dcf.estimator.autoencoder import Autoencoder
from nwb_dcf.metrics import r2_score


def make_frames(seed: int = 0, n_channels: int = 12) -> Frames:
    """Two latents seen through noisy channels, ten segments."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(400, 2)).cumsum(axis=0) / 10
    x = z @ np.random.default_rng(9).normal(size=(2, n_channels)) + 0.1 * rng.normal(size=(400, n_channels))
    return Frames(x.astype(np.float32), np.arange(400) // 40, None, 0.02)


@pytest.mark.parametrize("key", ["pca", "fa"])
def test_a_method_finds_the_plane_of_the_data_and_gives_it_back(key: str) -> None:
    frames = make_frames()
    encoder = METHODS[key].fit(frames, 2, 0)
    latents = encoder.encode(frames)
    back = encoder.reconstruct(latents)
    assert latents.shape == (400, 2)
    assert back is not None
    assert r2_score(frames.x, back) > 0.9


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.long
def test_a_network_gives_the_data_back_and_one_seed_gives_one_result(variational: bool) -> None:
    frames = make_frames()
    first, second = (
        Autoencoder(2, variational=variational, steps=200, seed=3).fit(frames.x, frames.segment) for _ in range(2)
    )
    latents = first.transform(frames.x)
    assert np.array_equal(latents, second.transform(frames.x))
    assert r2_score(frames.x, first.inverse_transform(latents)) > 0.7


@pytest.mark.long
def test_cebra_gives_latents_and_no_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cebra")
    monkeypatch.setattr(methods, "CEBRA_STEPS", 20)
    chosen, _ = choose_methods(["cebra"], [], counts=False)
    frames = make_frames()
    encoder = chosen[0].fit(frames, 3, 0)
    latents = encoder.encode(frames)
    assert latents.shape == (400, 3)
    np.testing.assert_allclose(np.linalg.norm(latents, axis=1), 1, atol=1e-3)  # on a sphere, as CEBRA puts them
    assert encoder.reconstruct(latents) is None
    assert not chosen[0].seeded


@pytest.mark.long
def test_cebra_takes_its_authors_steps_or_says_where_it_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cebra")
    assert methods.CEBRA_STEPS == 10_000
    monkeypatch.setattr(methods, "CEBRA_STEPS", 30)
    monkeypatch.setattr(methods, "CEBRA_TOGETHER", 10)
    heard: list[Progress] = []
    frames = make_frames()
    for longest_s, done in ((1e9, 30), (1e-9, 10)):
        watch = Watch(heard.append, longest_s)
        encoder = choose_methods(["cebra"], [], counts=False, watch=watch)[0][0].fit(frames, 3, 0)
        assert [one.step for one in heard] == list(range(10, done + 1, 10))
        assert {(one.stage, one.steps) for one in heard} == {("CEBRA-Time, fit 1", 30)}
        note = encoder.note  # type: ignore[attr-defined]
        assert ("at step 10 of its authors' 30" in note) == (done == 10), note
        assert ("`longest=`" in note) == (done == 10)
        heard.clear()
    # steps taken in pieces are those taken at once: training goes on where it was
    assert len(encoder.estimator.solver_.history) == 10  # type: ignore[attr-defined]


def test_networks_report_their_steps_and_a_second_fit_has_a_name_of_its_own() -> None:
    heard: list[Progress] = []
    watch = Watch(heard.append)
    report = watch.begin("VAE")
    net = Autoencoder(2, steps=40, seed=0).fit(make_frames().x, make_frames().segment, report=report)
    steps = [one.step for one in heard]
    assert steps[:2] == [20, 40]
    assert steps == sorted(steps)
    assert (heard[0].steps, heard[-1].steps, steps[-1]) == (80, 40 + net.best_step_, 40 + net.best_step_)
    watch.begin("VAE")(1, 2)
    assert (heard[0].stage, heard[-1].stage) == ("VAE, fit 1", "VAE, fit 2")
    listener = watch.follow("DCF")
    assert listener is not None
    listener(Progress("training (dynamics)", 3, 10, loss=0.1))
    assert heard[-1] == Progress("DCF, fit 1, training (dynamics)", 3, 10, loss=0.1)
    assert Watch().follow("DCF") is None


def test_methods_train_and_encode_with_one_thread_of_torch_and_leave_as_many_as_there_were() -> None:
    seen: list[int] = []

    class Careless:
        """As UMAP does: it leaves as many threads as it likes."""

        def fit(self, x: np.ndarray) -> None:
            seen.append(torch.get_num_threads())
            torch.set_num_threads(3)

        def transform(self, x: np.ndarray) -> np.ndarray:
            self.fit(x)
            return x[:, :2]

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        methods._Estimator(Careless(), make_frames()).encode(make_frames())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 1]


def test_wide_frames_enter_by_their_principal_axes() -> None:
    frames = make_frames(n_channels=300)
    encoder = METHODS["fa"].fit(frames, 2, 0)
    back = encoder.reconstruct(encoder.encode(frames))
    assert back is not None
    assert back.shape == frames.x.shape
    assert r2_score(frames.x, back) > 0.9


def test_an_estimator_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_rival.py").write_text(
        "class Mean:\n"
        "    def __init__(self, n_components, random_state=0): self.n = n_components\n"
        "    def fit(self, x): return self\n"
        "    def transform(self, x): return x[:, : self.n]\n"
        "class Bare:\n    pass\n"
        "class NoDim:\n    def fit(self, x): ...\n    def transform(self, x): ...\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    method = load_method("my_rival:Mean")
    encoder = method.fit(make_frames(), 2, 0)
    assert method.seeded
    assert encoder.encode(make_frames()).shape == (400, 2)
    assert encoder.reconstruct(np.zeros((3, 2))) is None
    for address, words in (
        ("my_rival", "module:Class"),
        ("my_rival:Other", "cannot be imported"),
        ("no_such_module:A", "cannot be imported"),
        ("my_rival:Bare", "no fit and no transform"),
        ("my_rival:NoDim", "takes no number of latents"),
    ):
        with pytest.raises(ParameterError, match=words):
            load_method(address)


def test_what_is_unknown_or_not_installed_is_refused_by_name_and_left_out_with_a_note_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ParameterError, match="there is no method 'pac'; choose from pca"):
        choose_methods(["pac"], [], counts=True)
    with pytest.raises(ParameterError, match="takes spikes"):
        choose_methods(["gpfa"], [], counts=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ParameterError, match="needs umap, which is not installed"):
        choose_methods(["umap"], [], counts=True)
    chosen, notes = choose_methods(None, [], counts=True)
    assert [method.name for method in chosen] == ["PCA", "factor analysis", "autoencoder", "VAE"]
    assert len(notes) == 3


@pytest.mark.long
def test_gpfa_gets_long_segments_in_pieces_and_every_spike() -> None:
    pytest.importorskip("elephant")
    counts = np.random.default_rng(0).poisson(1.0, (1050, 2)).astype(np.float64)
    segment = np.repeat([0, 1], [1000, 50])
    trains = object.__new__(methods._GPFA)._list_trains(Frames(counts.astype(np.float32), segment, counts, 0.1))
    assert [round(float(trial[0].t_stop) / 0.1) for trial in trains] == [200] * 5 + [50]
    assert [sum(len(trial[unit]) for trial in trains) for unit in (0, 1)] == counts.sum(axis=0).tolist()


@pytest.mark.long
@pytest.mark.parametrize("key", ["gpfa", "umap"])
def test_methods_of_other_packages_run_and_one_seed_gives_one_result(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    x = make_frames().x[:240]
    counts = np.random.default_rng(0).poisson(np.exp(0.5 * (x - x.mean(axis=0)))).astype(np.float64)
    frames = Frames(np.sqrt(counts).astype(np.float32), np.arange(240) // 40, counts, 0.05)
    first, second = (METHODS[key].fit(frames, 2, 0).encode(frames) for _ in range(2))
    assert first.shape == (240, 2)
    assert np.isfinite(first).all()
    assert np.array_equal(first, second)
    assert capsys.readouterr().out == ""  # stdout is for the report
