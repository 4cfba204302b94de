"""Small modules with telling names, documented where they are public, and free of one machine's paths."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "hilum"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 300
SHAPELESS_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
MACHINE_FOLDERS = ("work", "home", "root", "Users", "tmp", "mnt")
MACHINE_PATH = re.compile(rf"(?<![\w.$}}])/(?:{'|'.join(MACHINE_FOLDERS)})/")
FOLDERS = ("benchmarks", "configs", "docs", "scripts", "src", "tests", ".ci")
TEXT = {".py", ".yaml", ".md", ".toml", ".txt", ".sh", ".csv", ".html", ".js", ""}
UNPACKED = {"niivue.umd.js"}
"""What a build unpacks, and nobody commits."""

all_modules = pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(PACKAGE)))


def parsed(file: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def undocumented(node: ast.Module | ast.ClassDef) -> Iterator[str]:
    """Public functions, classes and methods without a docstring, by name."""
    for child in node.body:
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or child.name.startswith("_"):
            continue
        if ast.get_docstring(child) is None:
            yield child.name
        if isinstance(child, ast.ClassDef):
            yield from (f"{child.name}.{name}" for name in undocumented(child))


def own_texts() -> Iterator[Path]:
    """Every text file of the project, generated folders and unpacked files aside."""
    yield from (file for file in ROOT.iterdir() if file.is_file() and file.suffix in TEXT and file.name != "Dockerfile")
    for folder in FOLDERS:
        files = (file for file in (ROOT / folder).rglob("*") if file.is_file() and file.suffix in TEXT)
        yield from (file for file in files if file.name not in UNPACKED)


@all_modules
def test_a_module_stays_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) < MAX_LINES


@all_modules
def test_a_module_says_what_it_is_for_by_name_and_first_sentence(file: Path) -> None:
    assert file.stem not in SHAPELESS_NAMES
    assert ast.get_docstring(parsed(file)), "a file opens with one sentence that says what it is for"


@all_modules
def test_what_is_public_has_a_docstring(file: Path) -> None:
    assert list(undocumented(parsed(file))) == []


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {file.parent for file in MODULES}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in own_texts()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("folder", MACHINE_FOLDERS)
def test_machine_paths_are_told_from_addresses(folder: str) -> None:
    assert MACHINE_PATH.search(f"open('/{folder}/someone/scan.nii')")
    assert not MACHINE_PATH.search(f"see ../{folder}/data and https://example.org/{folder}/page")
