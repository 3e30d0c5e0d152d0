"""No module of the package needs another one that needs it in turn: not even by an import inside a function."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

import mario_tui

PACKAGE = Path(mario_tui.__file__).parent


def modules(package: Path) -> dict[str, Path]:
    """Name -> file of every module; a package's `__init__` has the name of the package."""
    found = {}
    for path in package.rglob("*.py"):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(node: ast.AST) -> Iterator[str]:
    """What code imports at run time, at any depth: modules, and names in them, which may be modules, too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.orelse:
                yield from imported(statement)
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute here"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        else:
            yield from imported(child)


def graph(package: Path) -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports."""
    files = modules(package)
    edges: dict[str, set[str]] = {}
    for name, path in files.items():
        edges[name] = needs(path, files) - {name}
    return edges


def needs(path: Path, known: Collection[str]) -> set[str]:
    """Those of the known modules that a file imports."""
    targets = imported(ast.parse(path.read_text(encoding="utf-8")))
    return {target if target in known else target.rpartition(".")[0] for target in targets} & set(known)


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The modules of each circle: what is left once whatever imports nothing, or is imported by nothing, is gone."""
    left = {name: set(targets) for name, targets in edges.items()}
    while True:
        needed = set().union(*left.values()) if left else set()
        ends = {name for name, targets in left.items() if not targets or name not in needed}
        if not ends:
            break
        left = {name: targets - ends for name, targets in left.items() if name not in ends}
    return [[name, *sorted(targets)] for name, targets in sorted(left.items())]


def test_there_is_no_import_circle() -> None:
    edges = graph(PACKAGE)
    assert len(edges) > 100
    assert "mario_tui.tui.app" in edges["mario_tui.tui.run"]
    assert circles(edges) == []


@pytest.mark.parametrize(("file", "registry"), [("toy_head", "network"), ("toy_loss", "mario")])
def test_another_head_or_loss_closes_no_circle(file: str, registry: str) -> None:
    edges = graph(PACKAGE)
    edges["mario_tui.agent.toy"] = needs(Path(__file__).parent / "agent" / f"{file}.py", edges)
    assert edges["mario_tui.agent.toy"]
    edges[f"mario_tui.agent.{registry}"].add("mario_tui.agent.toy")
    assert circles(edges) == []


def test_a_circle_is_found_also_where_an_import_stands_in_a_function(tmp_path: Path) -> None:
    package = tmp_path / "toy"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from toy import b\n")
    (package / "b.py").write_text("def late():\n    from toy.c import something\n")
    (package / "c.py").write_text("import toy.d\n")
    (package / "d.py").write_text("if TYPE_CHECKING:\n    from toy.b import late\n")
    assert circles(graph(package)) == []
    (package / "d.py").write_text("class D:\n    def late(self):\n        from toy.b import late\n")
    assert [circle[0] for circle in circles(graph(package))] == ["toy.b", "toy.c", "toy.d"]
