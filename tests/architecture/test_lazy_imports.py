"""`hilum --help` answers at once, because nothing heavy is imported before a verb needs it."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "hilum"
HEAVY = {"torch", "monai", "SimpleITK", "matplotlib", "sklearn", "scipy"}
LIGHT_FILES = ("config.py", "registry.py", "settings.py", "yaml_text.py", "errors.py")
LIGHT_MODULES = sorted([*(PACKAGE / "cli").rglob("*.py"), *(PACKAGE / name for name in LIGHT_FILES)])


def imported_by(*arguments: str) -> set[str]:
    """Top-level names of all modules that `python -m hilum ARGUMENTS` imports."""
    command = [sys.executable, "-X", "importtime", "-m", "hilum", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(re.findall(r"^import time:.*\|\s*(\w+)", result.stderr, flags=re.MULTILINE))


def imported_at_module_level(file: Path) -> Iterator[str]:
    """Top-level names that importing the file imports itself, blocks for type checkers aside."""
    pending: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            pending.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    modules = imported_by(*arguments)
    assert "hilum" in modules
    assert not modules & (HEAVY | {"numpy", "nibabel", "pandas", "PIL", "tensorboard"})


@pytest.mark.parametrize("file", LIGHT_MODULES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_command_and_configuration_stay_light(file: Path) -> None:
    assert not set(imported_at_module_level(file)) & HEAVY


def test_type_checking_blocks_and_function_bodies_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text(
        "import json\nif TYPE_CHECKING:\n    import torch\nelse:\n    import re\n"
        "def work():\n    import monai\nclass Thing:\n    from os import path\n"
    )
    assert set(imported_at_module_level(file)) == {"json", "re", "os"}
