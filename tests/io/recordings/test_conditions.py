import numpy as np
import pytest

from nwb_dcf.errors import ParameterError
from nwb_dcf.io.recordings.conditions import select_rows

COLUMNS = {
    "side": np.array(["left", "right", "left", "none"]),
    "n": np.array([1, 2, 3, 4]),
    "x": np.array([0.5, -1.0, np.nan, 2.0]),
    "good": np.array([True, False, True, True]),
}


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("side == 'left'", [0, 2]),
        ("'left' != side", [1, 3]),
        ("n >= 2 and n < 4", [1, 2]),
        ("1 < n <= 3", [1, 2]),
        ("x < 0 or n == 4", [1, 3]),
        ("x == -1.0", [1]),
        ("not good", [1]),
        ("good and side == 'none'", [3]),
        ("good == True", [0, 2, 3]),
        ("side in ('right', 'none')", [1, 3]),
        ("n not in [1, 2]", [2, 3]),
        ("(n == 1 or n == 2) and not side == 'right'", [0]),
        ("n == x", []),
        (" n == 1 ", [0]),
    ],
)
def test_condition_selects_rows(condition, rows):
    assert np.flatnonzero(select_rows(condition, COLUMNS, "t")).tolist() == rows


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("colour == 1", ("'colour'", "columns are: good, n, side, x")),
        ("__import__('os').system('true')", ("not allowed",)),
        ("n.__class__ == 1", ("not allowed",)),
        ("n[0] == 1", ("not allowed",)),
        ("(lambda: 1)() == n", ("not allowed",)),
        ("n + 1 == 2", ("not allowed",)),
        ("n is 1", ("not allowed",)),
        ("f'{n}' == side", ("not allowed",)),
        ("n ==", ("cannot be parsed",)),
        ("n = 1", ("cannot be parsed",)),
        ("", ("cannot be parsed",)),
        ("n", ("not true or false",)),
        ("n and good", ("as if it were true or false",)),
        ("1 == 1", ("without naming a column",)),
        ("side == 1", ("text with numbers", "quote")),
        ("n == '1'", ("text with numbers",)),
        ("n in ('1', '2')", ("text with numbers",)),
        ("n in 3", ("'in' otherwise",)),
        ("n == 1 or " * 200 + "n == 1", ("longer than",)),
        ("(" * 300 + "n" + ")" * 300, ("cannot be parsed",)),
        ("not " * 240 + "n", ("true or false",)),
    ],
)
def test_an_invalid_condition_is_refused(condition, words):
    with pytest.raises(ParameterError) as error:
        select_rows(condition, COLUMNS, "s.nwb: /intervals/trials")
    assert "\n" not in str(error.value)
    for word in ("s.nwb: /intervals/trials", *words):
        assert word in str(error.value)
