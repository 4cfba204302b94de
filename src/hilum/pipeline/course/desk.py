"""Where a rung of the course is worked out: shipped configurations in, trained networks, figures and numbers out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hilum.config import read
from hilum.data.splits.base import Part
from hilum.data.splits.base import restore as restore_split
from hilum.experiment import load
from hilum.pipeline.demo import shipped_config
from hilum.pipeline.evaluation import evaluate
from hilum.pipeline.restore import Restored, restore
from hilum.pipeline.study import Study, make_study
from hilum.pipeline.training import OnEpoch, train, unwatched
from hilum.report.figures import figure
from hilum.run import Run, write_text
from hilum.tracking import jsonl

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Say = Callable[[str], None]
COLOURS = 96
"""Of a figure's palette; its file is a third as large so."""


@dataclass(frozen=True)
class Numbers:
    """What a rung measured, as a table of texts."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def markdown(self) -> str:
        """The table for a page."""
        lines = [self.columns, ("---",) * len(self.columns), *self.rows]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)

    @property
    def lines(self) -> list[str]:
        """The table for a terminal."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (self.columns, *self.rows)
        ]


@dataclass(frozen=True)
class Trained:
    """A network that was trained, with its run folder and its data."""

    run: Run
    restored: Restored
    study: Study
    _seen: dict[Part, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of the run's log, an epoch each."""
        return [dict(entry) for entry in jsonl.read(self.run.log)]

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """The epochs, from 1, and the values of an entry of the log, where it has that entry."""
        known = [entry for entry in self.log if name in entry]
        return [entry["epoch"] + 1 for entry in known], [entry[name] for entry in known]

    def samples(self, part: Part) -> tuple[Tensor, Tensor]:
        """Prepared images (N, C, *spatial) and targets (N, ...) of a part, in the order of its cases."""
        if part not in self._seen:
            self._seen[part] = samples(self.study, part)
        return self._seen[part]

    def answers(self, images: Tensor) -> Tensor:
        """What the network answers: probabilities, or numbers."""
        with torch.no_grad():
            return self.restored.problem.answers(self.restored.model(images))

    def accuracy(self, part: Part, *, moved: Callable[[Tensor], Tensor] = lambda images: images) -> float:
        """The share of a part's images, after `moved`, of which the likeliest class is the true one."""
        images, targets = self.samples(part)
        return float((self.answers(moved(images)).argmax(1) == targets).float().mean())

    @property
    def parameters(self) -> int:
        """How many weights were learnt."""
        return sum(parameter.numel() for parameter in self.restored.model.parameters())

    def tested(self) -> dict[str, Any]:
        """The summary of the test part, by `hilum evaluate`, which writes the look into the run's ledger."""
        return evaluate(self.run.folder, part="test", say=_silent)


@dataclass(frozen=True)
class Desk:
    """One rung at work: its folder is ROOT/RUNG; `overrides` are settings that the user gave for all its networks."""

    rung: str
    root: Path
    overrides: tuple[str, ...] = ()
    say: Say = print

    @property
    def folder(self) -> Path:
        """Where everything of the rung lies but its data."""
        return self.root / self.rung

    @property
    def figure_file(self) -> Path:
        """The figure of the rung."""
        return self.folder / f"{self.rung}.png"

    @property
    def log(self) -> Path:
        """What the trainings of the rung said."""
        return self.folder / "log.txt"

    def train(self, config: str, name: str, settings: Sequence[str] = (), *, on_epoch: OnEpoch = unwatched) -> Trained:
        """The network of the shipped configuration `course/CONFIG.yaml` with these settings, trained as run `name`.

        What training says goes into the rung's log.
        """
        file = self._shipped(config)
        words = [f"name={name}", *self._places(file, settings), *settings, *self.overrides]
        start = perf_counter()
        with self.log.open("a", encoding="utf-8") as log, redirect_stdout(log):
            run = train(file, words, overwrite=True, on_epoch=on_epoch)
        restored = restore(run)
        self.say(f"  trained {name} in {perf_counter() - start:.0f} s")
        study = make_study(
            restored.experiment, split_of=lambda cohort: restore_split(run.split, cohort.cases, notes=())
        )
        return Trained(run, restored, study)

    def study(self, config: str, settings: Sequence[str] = ()) -> Study:
        """The data and the problem of a shipped configuration, for what needs no training."""
        file = self._shipped(config)
        return make_study(load(file, [*self._places(file, settings), *settings, *self.overrides]))

    @contextmanager
    def figure(self, width_inch: float, height_inch: float) -> Iterator[Figure]:
        """The rung's figure, written in few colours when the block ends."""
        from PIL import Image

        with figure(width_inch, height_inch, self.figure_file) as picture:
            yield picture
        with Image.open(self.figure_file) as image:
            reduced = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        reduced.save(self.figure_file, optimize=True)

    def _shipped(self, config: str) -> Path:
        """A copy of a shipped configuration in the rung's folder."""
        file = self.folder / f"{config}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, shipped_config(f"course/{config}.yaml"))
        return file

    def _places(self, file: Path, settings: Sequence[str]) -> list[str]:
        """Settings that keep everything within ROOT; data drawn with other settings get a folder of their own."""
        drawn = [word for word in (*settings, *self.overrides) if word.startswith("data.source.")]
        mark = f"-{hashlib.blake2b(' '.join(drawn).encode(), digest_size=4).hexdigest()}" if drawn else ""
        name = Path(read(file).data["data"]["source"]["folder"]).name
        return [
            f"data.source.folder={self.root / 'data' / (name + mark)}",
            f"data.cache={self.root / 'cache'}",
            f"runs={self.folder / 'runs'}",
        ]


def samples(study: Study, part: Part) -> tuple[Tensor, Tensor]:
    """Prepared images (N, C, *spatial) and targets (N, ...) of a part of a study, in the order of its cases."""
    dataset = study.dataset(study.split.part(part))
    taken = [dataset.sample(index, epoch=0, index=index) for index in range(len(dataset))]
    return torch.stack([sample.image for sample in taken]), torch.stack([sample.target for sample in taken])


def percent(share: float) -> str:
    """A share as a reader wants it."""
    return f"{100 * share:.1f} %"


def _silent(text: str) -> None:
    """Says nothing."""
