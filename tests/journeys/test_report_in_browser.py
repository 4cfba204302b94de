"""The report as a browser shows it, offline: nothing asked for, nothing complained about, nothing beyond the screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.browser import Browser, find_browser
from tests.report.page.conftest import write_comparison, write_crossval

from hilum.pipeline.reporting import write_report

BEYOND = """[...document.querySelectorAll("main *")].filter(one => !one.closest(".scroll, pre, svg"))
  .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(one => one.outerHTML.slice(0, 120))"""

COVERED = """[...document.querySelectorAll("main svg.chart")].filter(chart => chart.getBoundingClientRect().width)
  .flatMap(chart => {
    const words = [...chart.querySelectorAll("text")].map(one => [one.textContent, one.getBoundingClientRect()]);
    const inside = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.4 * Math.min(a.height, b.height);
    return words.flatMap(([text, box], index) => words.slice(index + 1)
      .filter(([, other]) => inside(box, other)).map(([other]) => `${text} / ${other}`));
  })"""
"""Words of a chart that stand on other words of it."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium on this machine")
    with Browser(program, tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="module", params=["run", "crossval", "crossed classifiers", "comparison"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of each kind."""
    folder = tmp_path_factory.mktemp("pages") / "page"
    if request.param == "run":
        trained: Path = request.getfixturevalue("trained")
        return trained / "report.html"
    if request.param == "comparison":
        return write_report(write_comparison(folder), say=lambda line: None)
    task = "segmentation" if request.param == "crossval" else "classification"
    return write_report(write_crossval(folder, task), say=lambda line: None)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_fits_asks_for_nothing_and_is_quiet(browser: Browser, report: Path, width: int, dark: bool) -> None:
    browser.open(report, width=width, dark=dark)
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value(BEYOND) == []
    assert browser.value(COVERED) == []
    assert browser.requests == [report.resolve().as_uri()]
    assert browser.complaints == []
    paper = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in paper[4:-1].split(",")) < 200) == dark


def test_the_button_changes_the_colours_and_the_switches_hide_lines(browser: Browser, trained: Path) -> None:
    browser.open(trained / "report.html", width=1440, dark=False)
    before = browser.value("getComputedStyle(document.body).backgroundColor")
    browser.value("document.getElementById('theme').click()")
    assert browser.value("getComputedStyle(document.body).backgroundColor") != before
    assert browser.value("document.getElementById('theme').textContent") == "Light mode"
    shown = "getComputedStyle(document.querySelector('.plane .truth')).display"
    assert browser.value(shown) != "none"
    browser.value("document.querySelector('[data-hides=truth]').click()")
    assert browser.value(shown) == "none"
    assert browser.complaints == []


def test_paper_is_white_and_unfolded(browser: Browser, trained: Path) -> None:
    folded = "document.querySelectorAll('details:not([open])').length"
    paper = "getComputedStyle(document.body).backgroundColor"
    browser.open(trained / "report.html", width=1440, dark=True)
    on_screen = browser.value(folded), browser.value(paper)
    assert on_screen[0] > 0
    browser.value("dispatchEvent(new Event('beforeprint'))")
    assert browser.value(folded) == 0
    lightness = [int(part) for part in re.findall(r"\d+", browser.value(paper))[:3]]
    assert min(lightness) > 240
    browser.value("dispatchEvent(new Event('afterprint'))")
    assert (browser.value(folded), browser.value(paper)) == on_screen
    assert browser.complaints == []


def test_an_injected_script_is_refused(browser: Browser, trained: Path, tmp_path: Path) -> None:
    """Even if escaping failed, the page's policy would not let a browser run what came from a table."""
    text = (trained / "report.html").read_text(encoding="utf-8")
    page = tmp_path / "injected.html"
    page.write_text(text.replace("</main>", "<script>window.taken = 1</script></main>"), encoding="utf-8")
    browser.open(page, width=1440, dark=False)
    assert browser.value("window.taken") is None
    assert any("Content Security Policy" in complaint for complaint in browser.complaints)
