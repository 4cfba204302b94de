"""What every test may ask for: the shared data, a folder for a run, deterministic hypothesis, one thread, plugins."""

import os
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

# Before torch is first imported (by a conftest further down), and inherited by the commands that tests start: the
# workers of pytest-xdist, each with a thread for every core, would otherwise slow each other down.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# The same examples every time, and none refused for being slow on a busy machine.
hypothesis.settings.register_profile("hilum", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("hilum")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--plugin",
        action="append",
        default=[],
        type=os.path.abspath,
        metavar="FILE",
        help="a plugin file whose components the contract tests shall cover too (may be given several times)",
    )
    parser.addoption(
        "--cohorts",
        type=int,
        default=160,
        metavar="N",
        help="random cohorts that the property tests of splits look at (1000 take about half a minute)",
    )


def pytest_configure(config: pytest.Config) -> None:
    from hilum.registry import load_plugin

    for file in config.getoption("--plugin"):
        load_plugin(Path(file))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, this machine has none")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the repository; skips the test where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no real data: ../shared/data is absent beside the repository")
    return SHARED_DATA


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Where a run may be written: does not exist yet, as `hilum train` wants it."""
    return tmp_path / "runs" / "test"
