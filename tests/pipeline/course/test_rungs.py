"""The course as a whole: its rungs by name, its configurations, and pages that say what was measured."""

import re
from pathlib import Path

import pytest

from hilum.errors import ConfigError
from hilum.experiment import diagnose
from hilum.pipeline.course.desk import Numbers
from hilum.pipeline.course.rungs import MEASURED, RUNGS, course, listed

ROOT = Path(__file__).parents[3]
CONFIGS = sorted((ROOT / "configs" / "course").glob("*.yaml"))
PAGES = ROOT / "docs" / "course"
IMAGES = ROOT / "docs" / "images" / "course"
MOST_BYTES = 80_000


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_configuration_of_the_course_has_no_fault(file: Path) -> None:
    assert diagnose(file).faults == []


def test_every_rung_has_a_configuration_and_every_configuration_a_rung() -> None:
    assert {file.stem for file in CONFIGS} == {*RUNGS, "mnist_lenet5"}


@pytest.mark.parametrize("name", RUNGS)
def test_a_page_shows_the_command_the_figure_and_the_numbers(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert f"hilum course {name}\n" in text
    assert f"(../images/course/{name}.png)" in text
    measured = MEASURED.search(text)
    assert measured is not None
    assert measured[0].count("\n|") >= 3, "run `hilum course RUNG --docs docs`"
    figure = (IMAGES / f"{name}.png").read_bytes()
    assert figure.startswith(b"\x89PNG")
    assert len(figure) < MOST_BYTES


def test_the_index_leads_to_every_page() -> None:
    index = (PAGES / "index.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\w+\.md)\)", index)) == {page.name for page in PAGES.glob("*.md")} - {"index.md"}


def test_rungs_are_listed_with_their_questions() -> None:
    assert len(listed()) == len(RUNGS) == 10
    assert all(line.endswith("?") for line in listed())


def test_a_rung_that_there_is_not_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"received the rung '03_xr', expected all or one of 01_line.*mean '03_xor'"):
        course("03_xr", tmp_path / "out")
    with pytest.raises(ConfigError, match="name one rung with it"):
        course("all", tmp_path / "out", overrides=["train.epochs=1"])
    assert not (tmp_path / "out").exists()


def test_a_rung_is_worked_out_from_its_number_and_put_into_its_page(tmp_path: Path) -> None:
    (tmp_path / "docs" / "course").mkdir(parents=True)
    page = tmp_path / "docs" / "course" / "03_xor.md"
    page.write_text("# XOR\n\n<!-- measured -->\nold\n<!-- /measured -->\n\nMore.\n")
    said: list[str] = []
    quick = ["train.epochs=1", "data.source.cases=40"]
    numbers = course("03", tmp_path / "out", overrides=quick, docs=tmp_path / "docs", say=said.append)["03_xor"]
    assert page.read_text() == f"# XOR\n\n<!-- measured -->\n{numbers.markdown}<!-- /measured -->\n\nMore.\n"
    made = tmp_path / "out" / "03_xor"
    assert (tmp_path / "docs" / "images" / "course" / "03_xor.png").read_bytes() == (made / "03_xor.png").read_bytes()
    assert {file.name for file in (made / "runs").iterdir() if file.is_dir()} >= {"perceptron", "logistic", "mlp"}
    assert said[0] == "03_xor: what can one layer not do?"
    assert any("perceptron" in line and "%" in line for line in said)
    assert "epoch 0" in (made / "log.txt").read_text()


def test_a_page_without_a_place_for_numbers_is_refused(tmp_path: Path) -> None:
    quick = ["train.epochs=1", "train.validate_every=1", "data.source.cases=20"]
    with pytest.raises(ConfigError, match=r"01_line\.md: expected the page of the rung"):
        course("line", tmp_path / "out", overrides=quick, docs=tmp_path, say=lambda text: None)


def test_numbers_become_a_table_for_pages_and_one_for_terminals() -> None:
    numbers = Numbers(("", "w"), (("found", "0.3"), ("true line", "0.30")))
    assert numbers.markdown == "|  | w |\n| --- | --- |\n| found | 0.3 |\n| true line | 0.30 |\n"
    assert numbers.lines == ["           w", "found      0.3", "true line  0.30"]
