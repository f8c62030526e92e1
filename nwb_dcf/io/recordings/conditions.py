"""Select rows by a condition on columns, as in ``direction == 3 and quality in ('good', 'mua')``.

A condition is parsed with `ast` and walked over a short list of allowed nodes; it is never evaluated
as Python.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ParameterError
from .tables import MEANING

if TYPE_CHECKING:
    from jaxtyping import Bool, Int, Shaped

MAX_LENGTH = 1000

COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def select_rows(
    condition: str, columns: Mapping[str, Shaped[np.ndarray, " row"]], where: str
) -> Bool[np.ndarray, " row"]:
    """Return which rows fulfil `condition`.

    Parameters
    ----------
    condition : str
        Comparisons (``==  !=  <  <=  >  >=  in  not in``) of columns with numbers, strings and True or False,
        joined by ``and``, ``or``, ``not`` and parentheses.
    columns : mapping of str to array of shape (row,)
        What the condition may name.
    where : str
        Names the table in errors.

    Returns
    -------
    array of bool, shape (row,)

    Raises
    ------
    ParameterError
        If the condition cannot be parsed, names an unknown column or compares text with numbers.

    Examples
    --------
    >>> select_rows("side == 'left' and n > 1", {"side": np.array(["left", "left"]), "n": np.array([1, 2])}, "t")
    array([False,  True])
    """
    return _Condition(condition, columns, where).select()


def choose_rows(
    selection: str | tuple[int, ...],
    ids: Int[np.ndarray, " row"],
    columns: Mapping[str, Shaped[np.ndarray, " row"]],
    *,
    what: str,
    where: str,
) -> Int[np.ndarray, " chosen"]:
    """Return the rows that `selection` asks for: by id, or by a condition on columns.

    Parameters
    ----------
    selection : str or tuple of int
        Ids (``"3,5,9"`` or numbers), or a condition as `select_rows` takes it.
    ids : array of int, shape (row,)
        Id of each row; conditions know it as ``id``.
    columns : mapping of str to array of shape (row,)
        What a condition may name.
    what : str
        What a row is, in errors: ``unit``, ``ROI``.
    where : str
        Names the table in errors.

    Returns
    -------
    array of int, shape (chosen,)

    Raises
    ------
    ParameterError
        If an id or a column does not exist, or no row fulfils the condition.

    Examples
    --------
    >>> choose_rows("9 7", np.array([7, 8, 9]), {}, what="unit", where="t")
    array([0, 2])
    """
    if is_id_list(selection):
        asked = np.unique(np.asarray(_split_words(selection), np.int64))
        missing = np.setdiff1d(asked, ids)
        if len(missing):
            raise ParameterError(
                f"no {what} has id {', '.join(map(str, missing))}",
                where=where,
                fix=f"ids go from {ids.min()} to {ids.max()}" if len(ids) else "the table is empty",
            )
        return np.flatnonzero(np.isin(ids, asked))
    if not isinstance(selection, str):
        raise ParameterError(f"the selection is {selection!r}", where=where, fix="give ids or a condition")
    rows = np.flatnonzero(select_rows(selection, {"id": ids, **columns}, where))
    if len(rows) == 0:
        raise ParameterError(f"no {what} fulfils {selection!r}", where=where, fix="change the condition")
    return rows


def is_id_list(selection: str | tuple[int, ...]) -> bool:
    """Return whether a selection consists of ids, and is no condition."""
    words = _split_words(selection)
    return bool(words) and all(word.lstrip("-").isdigit() for word in words)


def _split_words(selection: str | tuple[int, ...]) -> list[str]:
    return selection.replace(",", " ").split() if isinstance(selection, str) else [str(i) for i in selection]


class _Condition:
    """A condition on the columns of one table."""

    def __init__(self, text: str, columns: Mapping[str, Shaped[np.ndarray, " row"]], where: str) -> None:
        self.text = text
        self.columns = columns
        self.where = where

    def refuse(self, why: str, fix: str = "write it like: column == 'value' and other > 2") -> ParameterError:
        """Make the error that refuses this condition."""
        return ParameterError(f"the condition {self.text!r} {why}", where=self.where, fix=fix)

    def select(self) -> Bool[np.ndarray, " row"]:
        """Return for each row whether it fulfils the condition."""
        if len(self.text) > MAX_LENGTH:  # deep nesting exhausts the stack of the parser
            self.text = self.text[:40] + "..."
            raise self.refuse(f"is longer than {MAX_LENGTH} characters", "shorten it")
        try:
            # Parsed as Python, never evaluated: a condition may come from a script or a web page.
            tree = ast.parse(self.text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self.refuse("cannot be parsed") from error
        mask = self.walk(tree.body)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise self.refuse("is not true or false for each row")
        return mask

    def walk(self, node: ast.expr) -> Any:
        """Return the value of a node: an array of shape (row,), a constant or a tuple of constants."""
        # A list of what is allowed: every other node, calls and attributes among them, is refused.
        match node:
            case ast.BoolOp(op=op, values=values):
                parts = [self.walk_mask(value) for value in values]
                # `and` and `or` of Python ask for one truth value; rows need element-wise operations.
                return (np.logical_and if isinstance(op, ast.And) else np.logical_or).reduce(parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ~self.walk_mask(operand)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
            case ast.Compare(left=left, ops=ops, comparators=rights):
                # a < b < c compares a with b and b with c, as in Python.
                sides = [left, *rights]
                parts = [self.compare(a, op, b) for a, op, b in zip(sides[:-1], ops, sides[1:], strict=True)]
                return np.logical_and.reduce(parts)
            case ast.Name(id=name):
                return self.column(name)
            case ast.Constant(value=bool() | int() | float() | str() as value):
                return value
            case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
                return tuple(self.walk(item) for item in items)
        raise self.refuse(f"holds {ast.unparse(node)!r}, which is not allowed in a condition")

    def walk_mask(self, node: ast.expr) -> Bool[np.ndarray, " row"]:
        """Return the value of a node that must be true or false for each row."""
        value = self.walk(node)
        if not isinstance(value, np.ndarray) or value.dtype != np.bool_:
            raise self.refuse(f"uses {ast.unparse(node)!r} as if it were true or false")
        return value

    def column(self, name: str) -> Shaped[np.ndarray, " row"]:
        """Return a column by name."""
        if name not in self.columns:
            known = ", ".join(sorted(self.columns)) or "none"
            raise self.refuse(f"names a column {name!r} that does not exist", f"columns are: {known}")
        return self.columns[name]

    def compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Bool[np.ndarray, " row"]:
        """Return for each row whether a comparison holds."""
        a, b = self.walk(left), self.walk(right)
        a, b = self.use_words(left, a, b), self.use_words(right, b, a)
        if isinstance(op, ast.In | ast.NotIn):  # codespell:ignore notin
            if not isinstance(b, tuple) or not isinstance(a, np.ndarray):
                raise self.refuse("uses 'in' otherwise than: column in ('a', 'b')")
            for item in b:
                self.check_comparable(a, item)
            found = np.isin(a, np.asarray(b)) if b else np.zeros(len(a), bool)
            return ~found if isinstance(op, ast.NotIn) else found  # codespell:ignore notin
        if isinstance(a, tuple) or isinstance(b, tuple) or type(op) not in COMPARE:
            raise self.refuse("compares in a way that is not allowed")
        if not (isinstance(a, np.ndarray) or isinstance(b, np.ndarray)):
            raise self.refuse("compares two values without naming a column")
        self.check_comparable(a, b)
        return np.asarray(COMPARE[type(op)](a, b), dtype=bool)

    def use_words(self, node: ast.expr, value: Any, other: Any) -> Any:
        """Return the meanings of a column of numbers where it is compared with text and the file has meanings."""
        # People write the word, files store its number.
        words = self.columns.get(f"{node.id}{MEANING}") if isinstance(node, ast.Name) else None
        is_number = isinstance(value, np.ndarray) and value.dtype.kind != "U"
        items = other if isinstance(other, tuple) else (other,)
        return words if words is not None and is_number and all(isinstance(one, str) for one in items) else value

    def check_comparable(self, a: Any, b: Any) -> None:
        """Refuse to compare text with numbers."""
        # numpy returns False for every row, which would look like an empty selection.
        if (np.asarray(a).dtype.kind == "U") != (np.asarray(b).dtype.kind == "U"):
            raise self.refuse(
                "compares text with numbers", "quote the value where the column holds text, and only there"
            )
