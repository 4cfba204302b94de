"""The rungs of the course in their order, and what becomes of one: figure, table of numbers, page."""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from hilum.errors import ConfigError, nearest
from hilum.pipeline.course.desk import Desk, Numbers
from hilum.run import write_text

Say = Callable[[str], None]
MEASURED = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", flags=re.DOTALL)
"""Where a page of the course has its numbers."""


@dataclass(frozen=True)
class Rung:
    """A rung: the module beside this one whose `work` does it, and what is asked."""

    module: str
    question: str


RUNGS = {
    "01_line": Rung("line", "what does a network with one weight learn?"),
    "02_blobs": Rung("blobs", "how does a weighted sum become a decision?"),
    "03_xor": Rung("xor", "what can one layer not do?"),
    "04_capacity": Rung("capacity", "when is a network too small, and when too large?"),
    "05_gradients": Rung("gradients", "why did deep networks not learn with sigmoids?"),
    "06_images": Rung("images", "why do images want convolutions?"),
    "07_equivariance": Rung("equivariance", "what happens to the maps when the image moves?"),
    "08_small_filters": Rung("small_filters", "why three small filters instead of a large one?"),
    "09_residual": Rung("residual", "why are deep networks residual?"),
    "10_skips": Rung("skips", "what are the skip connections of a U-Net for?"),
}


def course(
    rung: str, folder: Path, *, overrides: Sequence[str] = (), docs: Path | None = None, say: Say = print
) -> dict[str, Numbers]:
    """The numbers of one rung, or of `all`; its figure, numbers, configurations and runs lie in FOLDER/RUNG.

    `overrides` are settings for every network of it. With `docs`, figure and numbers go into the pages of that folder.
    Raises ConfigError for a rung that there is not, and for settings with `all`, which would suit some rungs only.
    """
    chosen = _chosen(rung)
    if overrides and len(chosen) > 1:
        raise ConfigError(f"received {overrides[0]} for all rungs, whose settings differ: name one rung with it")
    start = perf_counter()
    found = {}
    for name in chosen:
        say(f"{name}: {RUNGS[name].question}")
        found[name] = _worked(name, folder, overrides, say)
        if docs is not None:
            _publish(name, folder / name, docs)
    if len(chosen) > 1:
        say(f"{len(chosen)} rungs in {perf_counter() - start:.0f} s")
    return found


def listed() -> list[str]:
    """The rungs as lines for a reader."""
    return [f"{name:<18}{rung.question}" for name, rung in RUNGS.items()]


def _chosen(rung: str) -> tuple[str, ...]:
    """The rungs of that name, or of that number."""
    if rung == "all":
        return tuple(RUNGS)
    matching = [name for name in RUNGS if rung in (name, name.partition("_")[0], name.partition("_")[2])]
    if not matching:
        close = nearest(rung, RUNGS)
        hint = f"; did you mean '{close}'?" if close else ""
        raise ConfigError(f"received the rung '{rung}', expected all or one of {', '.join(RUNGS)}{hint}")
    return tuple(matching)


def _worked(name: str, folder: Path, overrides: Sequence[str], say: Say) -> Numbers:
    start = perf_counter()
    desk = Desk(name, folder, tuple(overrides), say)
    desk.log.unlink(missing_ok=True)
    numbers: Numbers = importlib.import_module(f"hilum.pipeline.course.{RUNGS[name].module}").work(desk)
    write_text(desk.folder / "numbers.md", numbers.markdown)
    for line in numbers.lines:
        say(f"  {line}")
    say(f"  {desk.figure_file} ({perf_counter() - start:.0f} s)")
    return numbers


def _publish(name: str, made: Path, docs: Path) -> None:
    """Put the figure and the numbers of a rung into its page. Raises ConfigError where there is none."""
    page = docs / "course" / f"{name}.md"
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if not MEASURED.search(text):
        raise ConfigError(f"{page}: expected the page of the rung, with <!-- measured --> and <!-- /measured --> in it")
    images = docs / "images" / "course"
    images.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made / f"{name}.png", images / f"{name}.png")
    table = (made / "numbers.md").read_text(encoding="utf-8")
    write_text(page, MEASURED.sub(lambda found: f"{found[1]}{table}{found[2]}", text))
