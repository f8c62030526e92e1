"""Files of every released schema can be read, by us and by plain pynwb."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nwb_dcf.io.results import list_results, read_cohort, read_result, write_result
from nwb_dcf.io.results.read import SCHEMA_VERSION

from ..io.results.synthetic import make_result

FOLDER = Path(__file__).parent
FILES = sorted(path.name for path in FOLDER.glob("ndx-dcf-*.nwb"))


def test_every_released_schema_has_a_file() -> None:
    assert {"ndx-dcf-0.1.0.nwb", "ndx-dcf-1.0.0.nwb", f"ndx-dcf-{SCHEMA_VERSION}.nwb"} <= set(FILES)
    assert (FOLDER / f"cohort-{SCHEMA_VERSION}.nwb").exists()


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


@pytest.mark.parametrize(
    ("version", "others"),
    [
        ("1.0.0", {"one_segment", "units_dim3"}),
        ("1.1.0", {"cohort_dim2", "one_segment", "units_dim3"}),
        ("1.2.0", {"cohort_dim2", "units_dim3"}),
    ],
)
def test_a_model_of_an_earlier_schema_still_works(version: str, others: set[str]) -> None:
    from nwb_dcf import DCF, read_recording

    path = FOLDER / f"ndx-dcf-{version}.nwb"
    stale = {fit["name"]: fit["stale"] for fit in list_results(path)}
    assert stale.keys() == {"real", *others}
    assert stale["real"] is False
    fit = read_result(path, "real")
    # Three numbers copied from the file when it was made.
    np.testing.assert_allclose(fit.dataset["latents"].values[:2].ravel()[:3], REAL_LATENTS[version], atol=1e-6)
    dcf = DCF.from_result(fit, device="cpu")
    latents = dcf.transform(read_recording(path, **fit.config["read"]))
    np.testing.assert_allclose(latents["data"], fit.dataset["latents"], atol=1e-4)
    assert fit.dataset["field_velocity"].shape == (33, 33, 2)
    assert fit.dataset["field_frames"].sum() > 0


REAL_LATENTS = {
    "1.0.0": [0.6987590193748474, 0.8821387887001038, 0.3828582465648651],
    "1.1.0": [-0.23530343174934387, -1.240317940711975, -0.7804964780807495],
    "1.2.0": [-0.23530343174934387, -1.240317940711975, -0.7804964780807495],
}


def test_1_1_0_holds_a_cohort_and_the_fit_of_a_session_in_it() -> None:
    cohort = read_cohort(FOLDER / "cohort-1.1.0.nwb")
    assert cohort.dataset["session"].values.tolist() == ["ndx-dcf-1.1.0.nwb", "animal1.nwb", "animal2.nwb"]
    # Numbers copied from the files when they were made.
    np.testing.assert_array_equal(cohort.dataset["anchors"].values[0, 0], [0.6177123739977669, 1.4266895498039749])
    fit = read_result(FOLDER / "ndx-dcf-1.1.0.nwb", "cohort_dim2")
    assert fit.provenance["cohort"]["sha256"] == cohort.sha256
    np.testing.assert_array_equal(fit.dataset["latents"].values[0], [-0.6299301523234773, -0.1916648945855631])


def test_1_2_0_holds_a_certificate_and_files_before_it_have_none() -> None:
    path = FOLDER / "ndx-dcf-1.2.0.nwb"
    lines = {line["line"]: line for line in read_result(path, "real").certificate}
    assert (lines["better than PCA"]["verdict"], lines["not one channel"]["verdict"]) == ("fail", "pass")
    listed = {fit["name"]: fit["certificate"] for fit in list_results(path)}
    assert listed["real"] == {name: line["verdict"] for name, line in lines.items()}
    for version in ("0.1.0", "1.0.0", "1.1.0"):
        before = FOLDER / f"ndx-dcf-{version}.nwb"
        assert read_result(before, "units_dim3").certificate == []
        assert not any(fit["certificate"] or fit["best"] for fit in list_results(before))


def test_plain_pynwb_reads_the_certificate_as_a_table() -> None:
    script = (
        "import sys; from pynwb import read_nwb\n"
        "table = read_nwb(sys.argv[1]).processing['dcf']['real'].certificate.to_dataframe()\n"
        "print(*table.set_index('line').loc['better than PCA', ['verdict', 'n', 'over']])\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(FOLDER / "ndx-dcf-1.2.0.nwb")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "fail 7 segments"
