"""Files of every released schema can be read, by us and by plain pynwb."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nwb_dcf.io.results import list_results, read_result, write_result

from ..io.results.synthetic import make_result

FOLDER = Path(__file__).parent
FILES = sorted(path.name for path in FOLDER.glob("ndx-dcf-*.nwb"))


def test_every_released_schema_has_a_file() -> None:
    # 1.1.0 is not released yet; its file is made with the release, by a script beside these.
    assert {"ndx-dcf-0.1.0.nwb", "ndx-dcf-1.0.0.nwb"} <= set(FILES)


def test_0_1_0_is_read_as_it_was_written() -> None:
    path = FOLDER / "ndx-dcf-0.1.0.nwb"
    assert [(fit["name"], fit["dim"], fit["schema_version"]) for fit in list_results(path)] == [
        ("one_segment", 2, "0.1.0"),
        ("units_dim3", 3, "0.1.0"),
    ]
    fit = read_result(path, "units_dim3")
    assert dict(fit.dataset.sizes) == {"time": 62, "latent": 3, "segment": 6, "component": 8, "unit": 8, "step": 5}
    # Three numbers copied from the file when it was made.
    np.testing.assert_array_equal(fit.dataset["latents"].values[0], np.array(FIRST_LATENTS, np.float32))
    assert fit.dataset["segment_held_out"].values.tolist() == [False, True, False, False, True, False]
    assert fit.dataset["trial_outcome"].values.tolist() == ["hit", "miss", "früh"] * 2
    assert fit.config == {"model": {"dim": 3}, "train": {"seed": 0}}
    assert len(fit.weights) == 5000
    assert read_result(path, "one_segment").dataset.sizes["segment"] == 1


FIRST_LATENTS = [-0.6615280508995056, 0.9350500106811523, 0.04905461519956589]


@pytest.mark.parametrize("name", FILES)
def test_plain_pynwb_reads_it(name: str) -> None:
    script = (
        "import sys; from pynwb import NWBHDF5IO\n"
        "with NWBHDF5IO(sys.argv[1], 'r') as io:\n"
        "    print(io.read().processing['dcf']['units_dim3']['latents'].data.shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(FOLDER / name)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(62, 3)"


@pytest.mark.parametrize("name", FILES)
def test_a_new_fit_can_be_added_to_it(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copyfile(FOLDER / name, tmp_path / name))
    before = list_results(path)
    write_result(make_result(np.arange(8)), path, name="new")
    assert [fit for fit in list_results(path) if fit["name"] != "new"] == before


def test_1_0_0_holds_a_model_that_still_works() -> None:
    from nwb_dcf import DCF, read_recording

    path = FOLDER / "ndx-dcf-1.0.0.nwb"
    assert [(fit["name"], fit["stale"]) for fit in list_results(path)] == [
        ("one_segment", None),
        ("real", False),
        ("units_dim3", None),
    ]
    fit = read_result(path, "real")
    # Three numbers copied from the file when it was made.
    np.testing.assert_array_equal(fit.dataset["latents"].values[:2].ravel()[:3], np.array(REAL_LATENTS, np.float32))
    dcf = DCF.from_result(fit, device="cpu")
    latents = dcf.transform(read_recording(path, **fit.config["read"]))
    np.testing.assert_allclose(latents["data"], fit.dataset["latents"], atol=1e-4)
    assert fit.dataset["field_velocity"].shape == (33, 33, 2)
    assert fit.dataset["field_frames"].sum() > 0


REAL_LATENTS = [0.6987590193748474, 0.8821387887001038, 0.3828582465648651]
