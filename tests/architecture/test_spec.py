"""The specification is what its generator makes, valid, and the one the code believes in."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = ["ndx-dcf.namespace.yaml", "ndx-dcf.extensions.yaml"]


def load_generator():
    spec = importlib.util.spec_from_file_location("create_extension_spec", REPOSITORY / "spec/create_extension_spec.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_equal_their_generator(tmp_path: Path) -> None:
    load_generator().create_extension_spec(tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_text() == (REPOSITORY / "spec" / name).read_text(), (
            f"spec/{name} is stale: run python spec/create_extension_spec.py"
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(FILES)


def test_specification_follows_the_schema_language() -> None:
    schema = Path(importlib.util.find_spec("pynwb").origin).parent / "nwb-schema" / "nwb.schema.json"
    validator = Path(sys.executable).with_name("validate_hdmf_spec")
    done = subprocess.run(
        [str(validator), str(REPOSITORY / "spec"), "-m", str(schema)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_store_knows_the_version_of_the_specification() -> None:
    from nwb_dcf.store.fits import NAMESPACE, SCHEMA_VERSION

    generator = load_generator()
    assert (NAMESPACE, SCHEMA_VERSION) == (generator.NAME, generator.VERSION)


def test_traps_that_make_files_unreadable_are_avoided() -> None:
    generator = load_generator()
    flow = generator.DYNAMIC_COMPRESSION_FLOW
    for link in flow.links:
        assert link.quantity == "?", f"a named link with quantity {link.quantity} makes the file unreadable"
    for attribute in flow.attributes:
        assert attribute.dtype in ("text", "int", "float"), f"{attribute.name} cannot be read through Zarr"
    unnamed = [group for group in flow.groups if group.name is None]
    assert [(group.data_type_inc, group.quantity) for group in unnamed] == [("TimeSeries", "*")]


def test_importing_the_extension_loads_neither_torch_nor_xarray() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import nwb_dcf.ndx\n"
        "print([m for m in ('torch', 'xarray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_a_fit_loads_neither_torch_nor_pynwb() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import nwb_dcf.store\n"
        "print([m for m in ('torch', 'pynwb', 'hdmf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("part", ["mean", "units"])
def test_a_container_whose_parts_disagree_is_refused(part: str) -> None:
    import numpy as np
    from hdmf.common import DynamicTable, DynamicTableRegion, VectorData
    from pynwb.epoch import TimeIntervals

    from nwb_dcf.errors import DataError
    from nwb_dcf.ndx import DynamicCompressionFlow, LatentSeries

    axes = DynamicTable(
        name="axes", description="x", columns=[VectorData(name="spectrum", description="d", data=[2.0, 1.0])]
    )
    parts = {
        "name": "f", "schema_version": "0.1.0", "package_version": "0", "kind": "units", "dim": 1, "k_eff": 1,
        "segments": TimeIntervals(name="segments", description="x"), "axes": axes,
        "training": DynamicTable(name="training", description="x"), "loadings": np.ones((3, 2)), "mean": np.ones(3),
        "channels": [0, 1, 2], "weights": np.ones(3, np.uint8), "config": "{}", "provenance": "{}", "summary": "{}",
    }  # fmt: skip
    DynamicCompressionFlow(**parts)
    wrong = np.ones(4) if part == "mean" else DynamicTableRegion(name="units", data=[0], description="x", table=axes)
    with pytest.raises(DataError):
        DynamicCompressionFlow(**{**parts, part: wrong})
    with pytest.raises(DataError, match="give an array"):
        LatentSeries(name="latents", data=np.ones(3), timestamps=[0.0, 1.0, 2.0], unit="a.u.")
