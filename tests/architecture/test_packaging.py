"""What is installed elsewhere is complete: pinned versions, the shipped configurations, the command."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import hilum
from hilum.report.viewer.assets import NIIVUE_VERSION

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = PROJECT["dependencies"] + [item for extra in EXTRAS.values() for item in extra]


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


@pytest.mark.parametrize("requirement", sorted(set(REQUIREMENTS)))
def test_a_requirement_has_a_lower_bound_only(requirement: str) -> None:
    assert re.fullmatch(r"[\w.-]+>=[\d.]+", requirement)


def test_constraints_pin_every_requirement_exactly() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
    pinned = {canonical(pin.partition("==")[0]) for pin in pins}
    assert {canonical(requirement.partition(">=")[0]) for requirement in REQUIREMENTS} <= pinned


def test_wheel_carries_every_shipped_configuration(wheel: zipfile.ZipFile) -> None:
    folder = ROOT / "configs"
    shipped = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    packed = sorted(name.removeprefix("hilum/configs/") for name in wheel.namelist() if "hilum/configs/" in name)
    assert shipped
    assert packed == shipped


def test_wheel_carries_what_the_report_is_made_of(wheel: zipfile.ZipFile) -> None:
    folder = ROOT / "src" / "hilum" / "report" / "page"
    shipped = {f"hilum/report/page/{file.name}" for file in folder.iterdir() if file.suffix in {".css", ".js"}}
    assert len(shipped) == 3
    assert shipped <= set(wheel.namelist())


def test_wheel_carries_the_page_of_the_viewer(wheel: zipfile.ZipFile) -> None:
    """NiiVue too where it was unpacked, which needs npm and a network once, and always its licence."""
    folder = ROOT / "src" / "hilum" / "report" / "viewer"
    shipped = {f"hilum/report/viewer/{file.name}" for file in folder.iterdir() if file.is_file()}
    page = {f"viewer.{suffix}" for suffix in ("html", "css", "js")}
    assert {f"hilum/report/viewer/{name}" for name in (*page, "niivue.license.txt")} <= shipped
    assert shipped <= set(wheel.namelist())


def test_the_viewer_asks_for_the_version_that_is_unpacked() -> None:
    hook = (ROOT / "hatch_build.py").read_text(encoding="utf-8")
    assert f'VERSION = "@niivue/niivue", "{NIIVUE_VERSION}"' in hook


def test_wheel_carries_the_command_and_the_version(wheel: zipfile.ZipFile) -> None:
    folder = f"hilum-{hilum.__version__}.dist-info"
    assert b"hilum = hilum.cli:main" in wheel.read(f"{folder}/entry_points.txt")
    assert f"Version: {hilum.__version__}" in wheel.read(f"{folder}/METADATA").decode()
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()
