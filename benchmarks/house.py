"""The structure of the package in figures: how many entries, layers, floors; how long files are; how much is commented.

``python benchmarks/house.py [CHECKOUT ...]`` prints one column for each checkout, this one by default. To compare with
an earlier commit: ``git worktree add /tmp/before COMMIT`` and name both folders. Nothing is imported.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import tomllib
from collections import defaultdict
from pathlib import Path

Graph = dict[str, set[str]]
SHAPED = re.compile(r"\b[A-Z]\w+\[np\.ndarray, \"")  # jaxtyping: Float[np.ndarray, "time unit"]


def name_module(path: Path, root: Path) -> str:
    """Return the dotted name of a file."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_imports(tree: ast.Module, module: str, is_package: bool, known: set[str]) -> tuple[set[str], set[str]]:
    """Return the modules of the package that a file imports: at run time, and for types alone."""
    typed = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found: tuple[set[str], set[str]] = (set(), set())
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        parts = module.split(".") if is_package else module.split(".")[:-1]
        base = parts[: len(parts) - node.level + 1] if node.level else []
        target = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            for name in (f"{target}.{alias.name}", target):
                if name in known:
                    found[id(node) in typed].add(name)
                    break
    return found


def find_longest_chain(graph: Graph) -> int:
    """Files in the longest chain of imports; a circle counts once."""
    depth: dict[str, int] = {}

    def descend(name: str, above: frozenset[str]) -> int:
        if name in above:
            return 0
        if name not in depth:
            depth[name] = 1 + max((descend(other, above | {name}) for other in graph[name]), default=0)
        return depth[name]

    sys.setrecursionlimit(10_000)
    return max(descend(name, frozenset()) for name in graph)


def count_circles(graph: Graph) -> int:
    """Groups of files that import each other (strongly connected, more than one file)."""
    reach: Graph = {}
    for start in graph:
        seen, todo = set(), [start]
        while todo:
            for other in graph[todo.pop()] - seen:
                seen.add(other)
                todo.append(other)
        reach[start] = seen
    return len({frozenset(b for b in reach[a] if a in reach[b]) for a in graph if a in reach[a]})


def count_comments(source: str) -> int:
    """Lines with a comment that is for people."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    quiet = re.compile(r"#\s*(noqa|type:|pragma)")
    return sum(token.type == tokenize.COMMENT and not quiet.match(token.string) for token in tokens)


def list_public_names(package: Path) -> list[str]:
    """Names that ``from nwb_dcf import *`` brings; packages are none of them."""
    stub = package / "__init__.pyi"
    if stub.exists():
        tree = ast.parse(stub.read_text())
        return [a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) and n.module for a in n.names]
    found = re.search(r"__all__ = \[(.*?)\]", (package / "__init__.py").read_text(), re.DOTALL)
    return re.findall(r'"(\w+)"', found[1]) if found else []


def measure(root: Path) -> dict[str, float]:
    """Measure one checkout."""
    package = root / "nwb_dcf"
    files = {name_module(path, root): path for path in sorted(package.rglob("*.py"))}
    sources = {name: path.read_text() for name, path in files.items()}
    runtime: Graph = {}
    typed: Graph = {}
    for name, source in sources.items():
        at_run_time, for_types = read_imports(
            ast.parse(source), name, files[name].name == "__init__.py", files.keys() - {name}
        )
        runtime[name], typed[name] = at_run_time, at_run_time | for_types
    # faces re-export and are left out of chains and circles
    inner = {name for name, path in files.items() if path.name != "__init__.py"}
    chain = {name: {o for o in runtime[name] if o in inner} for name in inner}
    importers: dict[str, set[str]] = defaultdict(set)
    for name, others in runtime.items():
        for other in others:
            importers[other].add(name)
    lines = {name: len(source.splitlines()) for name, source in sources.items()}
    code = "\n".join(sources.values())
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    entries = [p for p in package.iterdir() if p.name != "__pycache__" and not p.name.startswith("__init__")]
    return {
        "entries at the top": len([p for p in entries if p.suffix == ".py" or p.is_dir()]),
        "layers": len(layers),
        "files in the longest chain of imports": find_longest_chain(chain),
        "files imported by one other": sum(len(importers[name]) == 1 for name in inner),
        "circles, types included": count_circles({n: {o for o in typed[n] if o in inner} for n in inner}),
        "files over 500 lines": sum(n > 500 for n in lines.values()),
        "files": len(files),
        "lines": sum(lines.values()),
        "comments per 100 lines": round(100 * sum(map(count_comments, sources.values())) / sum(lines.values()), 1),
        "bare np.ndarray": len(re.findall(r"np\.ndarray(?!\[)", SHAPED.sub("", code))),
        "dict[str, Any]": code.count("dict[str, Any]"),
        "public names": len(list_public_names(package)),
    }


if __name__ == "__main__":
    roots = [Path(name) for name in sys.argv[1:]] or [Path(__file__).resolve().parents[1]]
    columns = [measure(root.resolve()) for root in roots]
    print("| | " + " | ".join(root.resolve().name for root in roots) + " |")
    print("| --- |" + " --- |" * len(roots))
    for row in columns[0]:
        print(f"| {row} | " + " | ".join(f"{column[row]:g}" for column in columns) + " |")
