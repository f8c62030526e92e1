"""``pytest --shapes``: calls of nwb_dcf are checked against the shapes in its annotations, while the tests run.

Modules import jaxtyping for type checkers alone, so that annotations are text at run time. Here each function, method,
property and dataclass whose annotations hold jaxtyping's types is wrapped as its module is imported. After each call
its arguments and its return are checked together: a name stands for one size, but for one that begins with "_"
(segments of a list: ``"_time channel"``). A call that raises is left alone, since tests give wrong shapes on purpose.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder

from jaxtyping import AbstractArray, jaxtyped


class ShapeError(BaseException):
    """An array is not what its annotation says. No ``except Exception`` of the code under test can hide it."""


class ShapeFinder(PathFinder):
    """Finds the modules of one package, and wraps their functions once they are imported."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name.partition(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_wrap(module: types.ModuleType) -> None:
                execute(module)
                wrap_module(module)

            spec.loader.exec_module = execute_and_wrap
        return spec


def install(package: str = "nwb_dcf") -> ShapeFinder:
    """Check the calls of a package from now on; none of its modules may have been imported, but for its own face."""
    early = [name for name in sys.modules if name.startswith(f"{package}.")]
    assert not early, f"{early} were imported before their calls could be checked"
    sys.meta_path.insert(0, finder := ShapeFinder(package))
    return finder


def wrap_module(module: types.ModuleType) -> None:
    """Wrap the functions and the members of the classes of a module that names arrays for type checkers."""
    if not _array_names(module):
        return
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if isinstance(value, type):
            for member, found in list(vars(value).items()):
                wrapped = _wrap_member(found, module, value)
                if wrapped is not found:
                    setattr(value, member, wrapped)
        elif isinstance(value, types.FunctionType):
            setattr(module, name, _wrap(value, module))


def _wrap_member(found: object, module: types.ModuleType, owner: type) -> object:
    if isinstance(found, types.FunctionType):
        return _wrap(found, module, owner)
    if isinstance(found, staticmethod | classmethod):
        wrapped = _wrap(found.__func__, module, owner)
        return found if wrapped is found.__func__ else type(found)(wrapped)
    if isinstance(found, property) and found.fget is not None:
        return property(_wrap(found.fget, module, owner), found.fset, found.fdel, found.__doc__)
    if isinstance(found, functools.cached_property):
        found.func = _wrap(found.func, module, owner)
    return found


def _wrap(function: Callable, module: types.ModuleType, owner: type = object) -> Callable:
    # the __init__ of a dataclass has the annotations of its bases, which are written in the terms of their modules
    homes = [module.__name__, *(base.__module__ for base in owner.__mro__ if base.__module__ != module.__name__)]
    names = {name for home in homes for name in _array_names(sys.modules[home])}
    texts = {k: v for k, v in function.__annotations__.items() if isinstance(v, str) and names & _names_in(v)}
    if not texts:
        return function
    signature = inspect.signature(function)

    @functools.cache
    def evaluate() -> dict[str, object]:  # late: modules that only annotations name may not be imported yet
        hints = {name: _evaluate(text, homes) for name, text in texts.items()}
        return {name: hint for name, hint in hints.items() if _holds_array(hint)}

    @functools.wraps(function)
    def check_call(*args: object, **kwargs: object) -> object:
        returned = function(*args, **kwargs)
        hints, given = evaluate(), signature.bind(*args, **kwargs).arguments
        with jaxtyped("context"):
            for name, value in [*given.items(), ("return", returned)]:
                if name in hints and not _matches(value, _spread(hints[name], signature.parameters.get(name))):
                    known = ", ".join(f"{key} is {_describe(one)}" for key, one in given.items() if key in hints)
                    place = f"{module.__name__}.{function.__qualname__}"
                    raise ShapeError(f"{place}: {name} is {_describe(value)}, not {texts[name]} (where {known})")
        return returned

    return check_call


def _spread(hint: object, parameter: inspect.Parameter | None) -> object:
    """Type as which ``*args`` and ``**kwargs`` arrive."""
    kind = parameter.kind if parameter else None
    if kind is inspect.Parameter.VAR_POSITIONAL:
        return tuple[hint, ...]
    return dict[str, hint] if kind is inspect.Parameter.VAR_KEYWORD else hint


def _holds_array(hint: object) -> bool:
    return (isinstance(hint, type) and issubclass(hint, AbstractArray)) or any(map(_holds_array, typing.get_args(hint)))


def _matches(value: object, hint: object) -> bool:
    """Whether a value fits a hint, as far as arrays, unions and containers of them go; True for all other hints."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_matches(value, one) for one in inner)
    if origin is tuple and isinstance(value, tuple):
        each = inner[:1] * len(value) if inner[-1] is ... else inner
        return len(each) == len(value) and all(map(_matches, value, each))
    if isinstance(origin, type) and issubclass(origin, Mapping | Sequence):
        values = value.values() if isinstance(value, Mapping) else value
        return isinstance(value, origin) and all(_matches(one, inner[-1]) for one in values)
    if origin is not None or not isinstance(hint, type) or typing.is_typeddict(hint):
        return hint is not type(None)
    if getattr(hint, "_is_protocol", False):
        return True
    return isinstance(value, hint) or (hint is float and isinstance(value, int))


def _describe(value: object) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__} of {value.dtype}{list(value.shape)}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(_describe, value[:4]))}{', ...' if len(value) > 4 else ''})"
    return type(value).__name__


@functools.cache
def _type_blocks(module: types.ModuleType) -> tuple[ast.stmt, ...]:
    """Statements under ``if TYPE_CHECKING:`` of a module."""
    if not hasattr(module, "TYPE_CHECKING"):
        return ()
    tree = ast.parse(inspect.getsource(module)).body
    return tuple(one for block in tree if isinstance(block, ast.If) for one in block.body)


@functools.cache
def _array_names(module: types.ModuleType) -> frozenset[str]:
    """Names that may stand for arrays: those of jaxtyping, aliases, and names from other modules of the package."""

    def list_names(statement: ast.stmt) -> Iterator[str]:
        if isinstance(statement, ast.ImportFrom) and (statement.module == "jaxtyping" or statement.level):
            yield from (one.asname or one.name for one in statement.names)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            yield from _names_in(statement)

    return frozenset(name for statement in _type_blocks(module) for name in list_names(statement))


def _names_in(code: str | ast.AST) -> set[str]:
    tree = ast.parse(code, mode="eval") if isinstance(code, str) else code
    return {one.id for one in ast.walk(tree) if isinstance(one, ast.Name)}


@functools.cache
def _namespace(module_name: str) -> dict[str, object]:
    """Return the names of a module with those that type checkers alone import. What is not installed is anything."""
    module = importlib.import_module(module_name)
    names = dict(vars(module))
    for statement in _type_blocks(module):
        if isinstance(statement, ast.ImportFrom) and statement.level:
            source = importlib.util.resolve_name("." * statement.level + (statement.module or ""), module.__package__)
            there = _namespace(source)  # with aliases that are for type checkers alone there as well
            names |= {one.asname or one.name: there.get(one.name, typing.Any) for one in statement.names}
            continue
        try:
            exec(compile(ast.Module([statement], []), module_name, "exec"), names)
        except ImportError:
            names |= {one.asname or one.name: typing.Any for one in statement.names}
    return names


def _evaluate(text: str, homes: Sequence[str]) -> object:
    for home in homes:
        try:
            return eval(text, _namespace(home))
        except NameError as error:
            missing = error
    raise missing
