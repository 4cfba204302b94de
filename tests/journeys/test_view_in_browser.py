"""The page of `hilum view` in a browser: it draws truth and prediction, scrolls, pages, and loads nothing else."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.journeys.browser import Browser, find_browser

from hilum.pipeline.viewing.serving import serving
from hilum.pipeline.viewing.sources import gather
from hilum.report.viewer.assets import NIIVUE
from hilum.report.viewer.server import Server

WEBGL = (
    "--enable-unsafe-swiftshader",
    "--use-angle=swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
DRAWN = "viewer && viewer.volumes.length === 3 && element('message').hidden"
BEYOND = """[...document.querySelectorAll("body *")].filter(one => !one.closest("#table, .skip, script"))
  .filter(one => { const box = one.getBoundingClientRect();
    return box.width && box.right > document.documentElement.clientWidth + 1; })
  .map(one => one.outerHTML.slice(0, 120))"""
COVERED = """[..."header > *, main > *, #list > *, #panel > section, fieldset > *, .controls > *".split("; ")]
  .flatMap(names => [...document.querySelectorAll(names)])
  .filter(one => one.getBoundingClientRect().height && getComputedStyle(one).position !== "sticky")
  .flatMap((one, index, all) => all.slice(index + 1).filter(other => !one.contains(other) && !other.contains(one))
    .filter(other => { const a = one.getBoundingClientRect(), b = other.getBoundingClientRect();
      const clipped = [one, other].some(each => each.closest("#list, #panel")) && innerWidth > 960;
      return !clipped && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2; })
    .map(other => `${one.outerHTML.slice(0, 60)} / ${other.outerHTML.slice(0, 60)}`))"""


@pytest.fixture(scope="module")
def server(trained: Path) -> Iterator[Server]:
    """The run of the other journeys, being viewed."""
    if not (Path(__file__).parents[2] / "src" / "hilum" / "report" / "viewer" / NIIVUE).is_file():
        pytest.skip("NiiVue was not unpacked: there was no npm, or no network")
    with serving(gather(trained), say=lambda line: None) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium on this machine")
    with Browser(program, tmp_path_factory.mktemp("browser"), flags=WEBGL, offline=False) as started:
        yield started


def complaints(browser: Browser) -> list[str]:
    """What reached the console, but for what the software that stands in for a graphics card says of its speed."""
    return [one for one in browser.complaints if "GPU stall due to ReadPixels" not in one]


def seen(browser: Browser, folder: Path) -> np.ndarray:
    """The pixels of the canvas."""
    browser.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    browser.picture(folder / "seen.png", whole=False)
    sides = "({left, top, right, bottom}) => [left, top, right, bottom]"
    left, top, right, bottom = map(round, browser.value(f"({sides})(element('canvas').getBoundingClientRect())"))
    with Image.open(io.BytesIO((folder / "seen.png").read_bytes())) as picture:
        return np.asarray(picture.convert("RGB").crop((left, top, right, bottom))).astype(int)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_fits_loads_nothing_from_elsewhere_and_is_quiet(
    browser: Browser, server: Server, width: int, dark: bool
) -> None:
    browser.open(server.address, width=width, dark=dark)
    browser.until(DRAWN)
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value(BEYOND) == []
    assert browser.value(COVERED) == []
    assert [url for url in browser.requests if not url.startswith((server.address, "blob:"))] == []
    assert complaints(browser) == []
    paper = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in paper[4:-1].split(",")) < 200) == dark


def test_truth_and_prediction_are_drawn_and_slices_scroll(browser: Browser, server: Server, tmp_path: Path) -> None:
    browser.open(server.address, width=1440, dark=False)
    browser.until(DRAWN)
    both = seen(browser, tmp_path)
    browser.press("t")
    browser.until("viewer.volumes.length === 2")
    without_truth = seen(browser, tmp_path)
    white = (both > 200).all(axis=-1) & ~(without_truth > 200).all(axis=-1)
    assert white.sum() > 100  # the outline of the truth
    browser.press("p")
    browser.until("viewer.volumes.length === 1")
    alone = seen(browser, tmp_path)
    coloured = np.ptp(without_truth, axis=-1) > np.ptp(alone, axis=-1) + 20
    assert coloured.sum() > 100  # the prediction, on grey
    before = browser.value("slice()")
    browser.press("ArrowUp")
    assert browser.value("slice()") == before + 1
    assert (seen(browser, tmp_path) != alone).any(axis=-1).sum() > 500
    assert complaints(browser) == []


def test_keys_page_through_the_cases_from_the_worst_on(browser: Browser, server: Server) -> None:
    browser.open(server.address, width=1440, dark=True)
    browser.until(DRAWN)
    scores = browser.value("state.shown.map(one => one.score)")
    assert len(scores) > 1
    assert scores == sorted(scores)
    names = browser.value("state.shown.map(one => one.id)")
    assert browser.value("element('case-id').textContent") == names[0]
    browser.press("ArrowRight")
    browser.until(f"element('case-id').textContent === {names[1]!r} && {DRAWN}")
    browser.press("ArrowLeft")
    browser.until(f"element('case-id').textContent === {names[0]!r} && {DRAWN}")
    browser.value("element('part').value = 'all'; element('part').dispatchEvent(new Event('change'))")
    assert browser.value("state.shown.length") == browser.value("state.told.cases.length")
    browser.value("element('find').value = 'no such case'; element('find').dispatchEvent(new Event('input'))")
    assert browser.value("state.shown.length") == 0
    assert complaints(browser) == []
