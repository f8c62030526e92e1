"""Objects are found by path, by the end of a path, and where letters do not count by the container that holds them."""

from types import SimpleNamespace

import pytest
from pynwb import TimeSeries

from nwb_dcf.errors import SourceError
from nwb_dcf.io.backends.session import open_session
from nwb_dcf.io.recordings.find_object import find_object, match_objects, match_paths
from tests.nwb_files import make_series_session

PATHS = ["/acquisition/hand", "/acquisition/Hand2", "/processing/behavior/Position/hand", "/units"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("/units", ["/units"]),
        ("units", ["/units"]),
        ("acquisition/hand", ["/acquisition/hand"]),
        ("Position/hand", ["/processing/behavior/Position/hand"]),
        ("hand", ["/acquisition/hand", "/processing/behavior/Position/hand"]),
        ("and", []),
        ("position", []),
        ("", []),
    ],
)
def test_a_name_is_a_path_or_the_end_of_one(name, found):
    assert match_paths(PATHS, name) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("HAND2", ["/acquisition/Hand2"]),
        ("position", ["/processing/behavior/Position/hand"]),
        ("Hand2", ["/acquisition/Hand2"]),
        ("acquisition", PATHS[:2]),
        ("posit", []),
    ],
)
def test_letters_and_containers_count_where_asked(name, found):
    assert match_paths(PATHS, name, ignore_case=True) == found


def test_only_objects_of_the_types_are_found(tmp_path):
    path = make_series_session(tmp_path / "s.nwb", name="wheel")
    with open_session(path) as session:
        found = find_object(session, "wheel", (TimeSeries,), what="series")
        assert found.path == "/acquisition/wheel"
        assert found.object.name == "wheel"
        assert match_objects(session, "wheel", (int,)) == []
        with pytest.raises(SourceError, match=r"there is no series 'hand'; series are: /acquisition/wheel"):
            find_object(session, "hand", (TimeSeries,), what="series")
        with pytest.raises(SourceError, match=r"there is no table 'wheel'; use `trials='none'`"):
            find_object(session, "wheel", (int,), what="table", otherwise="use `trials='none'`")


def test_a_name_of_two_objects_is_refused_with_both_paths():
    objects = [("/acquisition/hand", 1), ("/stimulus/hand", 2)]
    session = SimpleNamespace(path="s.nwb", find_objects=lambda *types: objects, resolve=lambda path: path)
    with pytest.raises(SourceError, match=r"2 objects are called 'hand'; give .*: /acquisition/hand, /stimulus/hand"):
        find_object(session, "hand", (int,))
    assert find_object(session, "stimulus/hand", (int,)).object == 2
