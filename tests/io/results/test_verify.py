"""Which differences between a file and its copy the verifier sees."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from nwb_dcf.io.results.payload import Payload
from nwb_dcf.io.results.scripts.verify import compare_payload, compare_trees, describe_tree

PLACE = "/processing/dcf/units_dim3"


def make_file(path: Path) -> h5py.File:
    file = h5py.File(path, "w")
    file.attrs["nwb_version"] = "2.4.0"
    file["units/id"] = np.arange(3)
    file["units"].attrs.update({"description": "sorted", "colnames": ["a", "b"], "object_id": "123"})
    file["units/link"] = h5py.SoftLink("/units/id")
    file["units/elsewhere"] = h5py.ExternalLink("other.nwb", "/units")
    file["units"].attrs["table"] = file["units/id"].ref
    file["units/again"] = file["units"]  # a loop of hard links
    file["specifications/core/2.4.0/x"] = "{}"
    return file


def change(path: str, value: object) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        del file[path]
        file[path] = value

    return apply


def set_attribute(path: str, key: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file[path].attrs.__setitem__(key, value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.__delitem__("units/id"), "/units/id is lost"),
        (lambda f: f.__delitem__("specifications/core/2.4.0/x"), "/specifications/core/2.4.0/x is lost"),
        (lambda f: f.__setitem__("units/new", 1), "/units/new was added"),
        (lambda f: f.__setitem__("processing/dcf/units_dim3_2/x", 1), "/processing/dcf/units_dim3_2 was added"),
        (change("units/id", np.arange(4)), "/units/id changed from"),
        (change("units/id", np.arange(3.0)), "/units/id changed from"),
        (change("units/link", h5py.SoftLink("/units")), "/units/link changed from"),
        (change("units/elsewhere", h5py.ExternalLink("b.nwb", "/units")), "/units/elsewhere changed from"),
        (set_attribute("units", "object_id", "124"), "/units attribute object_id changed"),
        (set_attribute("units", "colnames", ["a", "c"]), "/units attribute colnames changed"),
        (set_attribute("units", "extra", 1), "/units attribute extra changed from None"),
        (lambda f: f["units"].attrs.__delitem__("description"), "/units attribute description changed"),
    ],
)
def test_a_difference_is_seen(tmp_path: Path, spoil: Callable[[h5py.File], None], message: str) -> None:
    with make_file(tmp_path / "a.nwb") as before, make_file(tmp_path / "b.nwb") as after:
        after[f"{PLACE}/x"] = 1
        compare_trees(describe_tree(before), describe_tree(after), PLACE)
        spoil(after)
        with pytest.raises(RuntimeError, match=message):
            compare_trees(describe_tree(before), describe_tree(after), PLACE)


def test_what_pynwb_raises_and_what_we_add_is_no_difference(tmp_path: Path) -> None:
    with make_file(tmp_path / "a.nwb") as before, make_file(tmp_path / "b.nwb") as after:
        before[f"{PLACE}/old"] = 1  # a fit that was overwritten
        after[f"{PLACE}/new"] = 1
        after["specifications/core/2.11.0/x"] = "{}"
        after.attrs["nwb_version"] = "2.11.0"
        compare_trees(describe_tree(before), describe_tree(after), PLACE)


@pytest.mark.parametrize("spoilt", ["", "latents/data", "labels", "latents/rate", "config"])
def test_a_stored_value_that_was_not_meant_is_seen(tmp_path: Path, spoilt: str) -> None:
    meant = {"latents/data": np.ones((2, 2), np.float32), "labels": np.array(["a", "b"]), "latents/rate": np.array(5.0)}
    meant["gaps"] = np.array([1.0, np.nan])
    (tmp_path / "payload.npz").write_bytes(Payload(meant, {"config": "{}"}, {}).to_bytes())
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file["latents/data"] = meant["latents/data"] + np.float32(spoilt == "latents/data")
        file["labels"] = ["a", "c" if spoilt == "labels" else "b"]
        file["gaps"] = meant["gaps"]
        file["latents/starting_time"] = 0.0
        file["latents/starting_time"].attrs["rate"] = 5.1 if spoilt == "latents/rate" else 5.0
        file["config"] = "[]" if spoilt == "config" else "{}"
        if not spoilt:
            compare_payload(file["/"], str(tmp_path / "payload.npz"))
            return
        with pytest.raises(RuntimeError, match=f"{spoilt} is not that of the payload"):
            compare_payload(file["/"], str(tmp_path / "payload.npz"))
