"""Groups and arrays that this package reads from a folder of Zarr itself, as it must where zarr 3 is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from nwb_dcf.io.backends.restricted_pickle import restrict_pickles
from nwb_dcf.io.backends.zarr_folder import FolderGroup
from nwb_dcf.io.backends.zarr_format import drop_consolidated, find_format, forget, is_consolidated, read_metadata
from nwb_dcf.io.results.scripts.items import is_group, read_values
from nwb_dcf.io.results.scripts.references import find_leading_to
from tests.nwb_files import convert_to_zarr, make_spike_session

from .test_zarr import add_electrodes

needs_zarr_2 = pytest.mark.skipif(not zarr.__version__.startswith("2."), reason="zarr 3 shows format 2 otherwise")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Units, trials with words, and electrodes with references."""
    place = tmp_path_factory.mktemp("zarr")
    return convert_to_zarr(make_spike_session(place / "s.nwb", change=add_electrodes), place / "s.nwb.zarr")


def walk(group: Any, path: str = "") -> dict[str, Any]:
    found = {}
    for name in sorted(group.keys()):
        item = group[name]
        found[f"{path}/{name}"] = item
        if is_group(item):
            found |= walk(item, f"{path}/{name}")
    return found


@needs_zarr_2
def test_every_group_and_array_is_that_of_zarr_2(session: Path) -> None:
    with restrict_pickles():
        known, own = walk(zarr.open_group(str(session), mode="r")), walk(FolderGroup(session, ""))
        assert list(known) == list(own)
        assert len(known) > 50
        for path, item in known.items():
            assert dict(item.attrs) == dict(own[path].attrs), path
            assert is_group(item) == is_group(own[path]), path
            if is_group(item):
                continue
            assert (item.shape, item.dtype, item.nchunks) == (own[path].shape, own[path].dtype, own[path].nchunks)
            assert item.nchunks_initialized == own[path].nchunks_initialized, path
            assert item.nbytes_stored == own[path].nbytes_stored + metadata_bytes(session / path[1:]), path
            if item.attrs.get("zarr_dtype") == "object":
                assert [str(one) for one in item[()]] == [str(one) for one in own[path][()]], path
            else:
                np.testing.assert_array_equal(read_values(item), read_values(own[path]), err_msg=path)


def metadata_bytes(folder: Path) -> int:
    """zarr counts the files of metadata among what is stored."""
    return sum(file.stat().st_size for file in folder.glob(".z*"))


def test_a_group_is_a_mapping_of_what_is_in_its_folder(session: Path) -> None:
    root = FolderGroup(session, "")
    assert "units/spike_times" in root
    assert "units/nothing" not in root
    assert root.get("nothing") is None
    assert root["units"]["/units/id"].shape == root["units/id"].shape
    assert len(root["units/id"]) == root["units/id"].shape[0]
    with pytest.raises(KeyError, match="nothing"):
        root["nothing"]
    with root as same:
        assert same.root.attrs["nwb_version"]


def test_references_into_a_group_are_found(session: Path) -> None:
    found = find_leading_to(FolderGroup(session, ""), "/general/extracellular_ephys/shank")
    assert found == ["/general/extracellular_ephys/electrodes/group"]
    found = find_leading_to(FolderGroup(session, ""), "/general/extracellular_ephys/electrodes")
    assert found == ["/acquisition/voltage/electrodes"]


def write_group(folder: Path, attributes: dict[str, object], **more: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes, **more}
    (folder / "zarr.json").write_text(json.dumps(document))


@pytest.fixture
def format_3(tmp_path: Path) -> Path:
    """A folder of format 3 with metadata only, consolidated in its root and, out of date, in a group."""
    paths = ("processing", "processing/dcf", "processing/dcf/one", "processing/dcf/one_more")
    members: dict[str, object] = {path: {} for path in paths}
    write_group(tmp_path, {"nwb_version": "2.11.0"}, consolidated_metadata={"metadata": members})
    write_group(tmp_path / "processing", {})
    write_group(tmp_path / "processing" / "dcf", {"a": 1}, consolidated_metadata={"metadata": {"one": {}}})
    write_group(tmp_path / "processing" / "dcf" / "one", {})
    return tmp_path


def test_metadata_of_format_3(format_3: Path) -> None:
    assert find_format(format_3) == 3
    assert read_metadata(format_3 / "processing" / "dcf") == ({"a": 1}, None)
    assert list(walk(FolderGroup(format_3, ""))) == ["/processing", "/processing/dcf", "/processing/dcf/one"]
    assert is_consolidated(format_3)
    forget(format_3, "/processing/dcf/one")
    kept = json.loads((format_3 / "zarr.json").read_text())["consolidated_metadata"]["metadata"]
    assert list(kept) == ["processing", "processing/dcf", "processing/dcf/one_more"]
    drop_consolidated(format_3, "processing/dcf")
    assert not is_consolidated(format_3)
    assert not is_consolidated(format_3 / "processing" / "dcf")
    assert read_metadata(format_3)[0] == {"nwb_version": "2.11.0"}


@needs_zarr_2
def test_an_object_that_is_forgotten_is_gone_from_the_consolidated_metadata_of_format_2(session: Path) -> None:
    before = json.loads((session / ".zmetadata").read_text())["metadata"]
    try:
        forget(session, "/units")
        after = json.loads((session / ".zmetadata").read_text())["metadata"]
    finally:
        (session / ".zmetadata").write_text(json.dumps({"metadata": before, "zarr_consolidated_format": 1}))
    assert {key for key in before if key not in after} == {key for key in before if key.startswith("units/")}
