"""Law 1 of the house: imports point down, and heavy libraries stay where they belong.

The imports are read from the source, not by importing: also those inside functions.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tinyrs.config import ROOT

PACKAGES = ("tinyrs", "annotate", "training", "screens")

TIERS = {
    "tinyrs": 0,
    "tinyrs.example": 0,
    **{f"tinyrs.{name}": 2 for name in ("datasets", "benchmarks", "sources", "models", "engine", "render", "geo")},
    **{f"tinyrs.{name}": 2 for name in ("loading", "local", "decoding", "sharing", "turns", "inputs", "generating", "openvino", "convert")},
    **{f"tinyrs.{name}": 2 for name in ("server", "tokens", "weights")},
    "tinyrs.compare": 3,
    "tinyrs.scene": 3,
    "tinyrs.lens": 3,
    "tinyrs.leaks": 3,
    "tinyrs.shown": 4,
    "tinyrs.suggestions": 3,
    "tinyrs.helped": 5,
    "tinyrs.many": 5,
    "tinyrs.sharecard": 5,
    "tinyrs.chat": 3,
    "tinyrs.pairing": 3,
    "tinyrs.zero": 4,
    "tinyrs.serve": 4,
    "tinyrs.deploy": 3,
    "tinyrs.__main__": 5,
}
"""Modules import from lower tiers, or beside themselves without a circle. The rest of tinyrs/ is tier 1."""

HOMES = {
    "gradio": ("app", "screens", "annotate.screens", "annotate.screens_review", "annotate.desk", "annotate.desk_layout"),
    "spaces": ("app",),
    "uvicorn": ("tinyrs.serve",),
    "starlette": ("tinyrs.serve", "app"),
    "torch": ("tinyrs.loading", "tinyrs.local", "tinyrs.decoding", "tinyrs.generating", "training"),
    "transformers": ("tinyrs.loading", "tinyrs.local", "tinyrs.decoding", "tinyrs.generating", "tinyrs.openvino", "tinyrs.convert", "training"),
    "openvino": ("tinyrs.openvino", "tinyrs.convert", "tinyrs.graphs"),
    "trl": ("training",),
    "peft": ("training",),
    "accelerate": ("training",),
    "datasets": ("training", "annotate.tables"),
    "openai": ("tinyrs.server", "annotate.generate", "training.judge"),
    "sqlite3": ("annotate",),
    "sqlite_utils": ("annotate",),
}
"""Where each heavy library may be imported: a module, or a package with all that is in it."""

LAZY = ("torch", "transformers", "openvino", "gradio", "trl", "openai", "huggingface_hub", "supervision", "sqlite3")


def modules() -> dict[str, Path]:
    """Every module of ours, by its dotted name."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    files += [file for file in (ROOT / "app.py",) if file.exists()]
    names = {}
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return names


MODULES = modules()


def imports(name: str, top_only: bool = False) -> set[str]:
    """What `name` imports: our modules by full name, others by package; not what only types need."""
    found = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes = node.orelse
        elif top_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            nodes = []
        else:
            nodes = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = MODULES[name].relative_to(ROOT).parent.parts
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            found.update(f"{base}.{alias.name}" for alias in node.names)
        for child in nodes:
            visit(child)

    visit(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    return {target for full in found if (target := _target(full)) != name}


def _target(full: str) -> str:
    """The module of ours that an import reaches, or the package of somebody else's."""
    parts = full.split(".")
    if parts[0] not in (*PACKAGES, "app"):
        return parts[0]
    while parts and ".".join(parts) not in MODULES:
        parts.pop()
    return ".".join(parts) or full


def tier(name: str) -> int:
    return TIERS.get(name, 1)


def test_there_is_something_to_read():
    assert "tinyrs.engine" in MODULES and "tinyrs.models" in imports("tinyrs.engine")
    assert "tinyrs.local" in imports("tinyrs.engine") and "tinyrs.local" not in imports(
        "tinyrs.engine", top_only=True
    )


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("tinyrs")])
def test_imports_point_down(name):
    up = [other for other in imports(name) if other.startswith("tinyrs") and tier(other) > tier(name)]
    assert not up, f"{name} imports upwards: {up}"


def test_there_are_no_circles():
    edges = {name: {other for other in imports(name, top_only=True) if other in MODULES} for name in MODULES}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for other in edges[name]:
                walk(other, (*path, name))
            done.add(name)

    for name in edges:
        walk(name, ())


@pytest.mark.parametrize("name", MODULES)
def test_packages_keep_to_themselves(name):
    forbidden = {
        "tinyrs": ("annotate", "training", "screens", "app"),
        "annotate": ("training", "screens", "app"),
        "training": ("annotate", "screens", "app"),
        "screens": ("training", "app"),
        "app": (),
    }[name.partition(".")[0]]
    wrong = [other for other in imports(name) if other.partition(".")[0] in forbidden]
    assert not wrong, f"{name} imports {wrong}"


@pytest.mark.parametrize("library", HOMES)
def test_heavy_libraries_stay_at_home(library):
    homes = HOMES[library]
    users = [name for name in MODULES if library in imports(name)]
    strangers = [
        name for name in users if not any(name == home or name.startswith(home + ".") for home in homes)
    ]
    assert not strangers, f"{library} belongs in {homes}, not in {strangers}"


def test_the_values_import_nothing_of_ours():
    assert not {other for other in imports("tinyrs.example") if other in MODULES}


def loaded(code: str) -> set[str]:
    """The libraries of LAZY that a fresh process has loaded after `code`."""
    report = f"import sys; print(' '.join(name for name in {LAZY!r} if name in sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["ask", "--help"], ["models"]])
def test_help_and_the_table_load_nothing_heavy(arguments):
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['tinyrs', *{arguments!r}]\n"
        "try: runpy.run_module('tinyrs', run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code, stop.code"
    )
    assert loaded(code) == set()


def test_pure_modules_load_nothing_heavy():
    pure = [name for name in MODULES if name.startswith("tinyrs.") and name not in HEAVY]
    assert loaded("import " + ", ".join(pure)) == set()


HEAVY = ("tinyrs.loading", "tinyrs.local", "tinyrs.decoding", "tinyrs.generating", "tinyrs.openvino", "tinyrs.server", "tinyrs.__main__")
