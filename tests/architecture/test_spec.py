"""The specification is what its generator makes, valid, and the one the code believes in."""

import importlib.util
import re
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
    from nwb_dcf.io.results.read import NAMESPACE, SCHEMA_VERSION

    generator = load_generator()
    assert (NAMESPACE, SCHEMA_VERSION) == (generator.NAME, generator.VERSION)


def test_the_catalog_and_the_readme_know_it_too() -> None:
    generator = load_generator()
    record = (REPOSITORY / "ndx-meta.yaml").read_text()
    assert f"name: {generator.NAME}\nversion: {generator.VERSION}\n" in record
    readme = (REPOSITORY / "spec" / "README.md").read_text()
    assert readme.startswith(f"# {generator.NAME} {generator.VERSION}\n")
    for spec in generator.TYPES:
        assert re.search(rf"^### .*\b{spec.neurodata_type_def}\b", readme, re.MULTILINE)
        for part in [*spec.groups, *spec.datasets, *spec.links, *spec.attributes]:
            for name in [part.name, *(column.name for column in getattr(part, "datasets", []))]:
                assert name in (None, "data") or f"`{name}`" in readme, f"{spec.neurodata_type_def}: {name}"


def test_matnwb_can_make_classes_of_it() -> None:
    """The rules of MatNWB's generateExtension: names that MATLAB takes, and one meaning for each."""
    generator = load_generator()
    keywords = {"break", "case", "classdef", "end", "events", "function", "global", "methods", "properties", "while"}
    for spec in generator.TYPES:
        properties: list[str] = []
        for part in [*spec.groups, *spec.datasets, *spec.links, *spec.attributes]:
            # An unnamed group becomes a set named after its type; attributes of datasets are joined by _.
            own = part.name or part.neurodata_type_inc.lower()
            inner = (
                [a.name for a in getattr(part, "attributes", [])] if not getattr(part, "data_type_inc", None) else []
            )
            properties += [own, *(f"{own}_{name}" for name in inner)]
        for name in [spec.neurodata_type_def, *properties]:
            assert re.fullmatch(r"[A-Za-z]\w{0,62}", name), name
            assert name not in keywords
        assert len({name.lower() for name in properties}) == len(properties), spec.neurodata_type_def
        assert spec.doc
    names = [spec.neurodata_type_def for spec in generator.TYPES]
    known = {"TimeSeries", "NWBDataInterface"}
    for spec in generator.TYPES:  # a type is defined before it is used
        used = [spec.neurodata_type_inc, *(group.neurodata_type_inc for group in spec.groups)]
        assert set(used) & set(names) <= known
        known.add(spec.neurodata_type_def)


def test_traps_that_make_files_unreadable_are_avoided() -> None:
    generator = load_generator()
    flow = generator.DYNAMIC_COMPRESSION_FLOW
    for link in flow.links:
        assert link.quantity == "?", f"a named link with quantity {link.quantity} makes the file unreadable"
    for spec in generator.TYPES:
        datasets = [spec, *spec.datasets]
        for attribute in [attribute for part in datasets for attribute in part.attributes]:
            assert attribute.dtype in ("text", "int", "float"), f"{attribute.name} cannot be read through Zarr"
        for dataset in spec.datasets:
            assert dataset.dtype != "float64", f"{dataset.name} would be upcast"
    # What 0.1.0 did not have is optional, or files of that version could not be read any more.
    known = {"segments", "axes", "training", "loadings", "mean", "channels", "config", "provenance", "summary", None}
    for part in [*flow.groups, *flow.datasets]:
        assert part.quantity in ("?", "*") or part.name in known, f"{part.name} is required, yet new"
    unnamed = [group for group in flow.groups if group.name is None]
    assert [(group.data_type_inc, group.quantity) for group in unnamed] == [("TimeSeries", "*")]


def test_importing_the_extension_loads_neither_torch_nor_xarray() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import nwb_dcf.io.ndx\n"
        "print([m for m in ('torch', 'xarray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_a_fit_loads_neither_torch_nor_pynwb() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import nwb_dcf.io.results\n"
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
    from nwb_dcf.io.ndx import DynamicCompressionFlow, LatentSeries

    axes = DynamicTable(
        name="axes", description="x", columns=[VectorData(name="spectrum", description="d", data=[2.0, 1.0])]
    )
    parts = {
        "name": "f", "schema_version": "1.0.0", "package_version": "0", "kind": "units", "dim": 1, "k_eff": 1,
        "segments": TimeIntervals(name="segments", description="x"), "axes": axes,
        "training": DynamicTable(name="training", description="x"), "loadings": np.ones((3, 2)), "mean": np.ones(3),
        "channels": [0, 1, 2], "config": "{}", "provenance": "{}", "summary": "{}",
    }  # fmt: skip
    DynamicCompressionFlow(**parts)
    wrong = np.ones(4) if part == "mean" else DynamicTableRegion(name="units", data=[0], description="x", table=axes)
    with pytest.raises(DataError):
        DynamicCompressionFlow(**{**parts, part: wrong})
    with pytest.raises(DataError, match="give an array"):
        LatentSeries(name="latents", data=np.ones(3), timestamps=[0.0, 1.0, 2.0], unit="a.u.")
