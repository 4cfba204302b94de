"""Prediction from files to files: hilum, MONAI's sliding window with inverse transforms, and nnU-Net, with one network.

usage: predict.py OUT [--task TASK_FOLDER] [--nnunet FOLDER] [--only PATTERN ...] [--most N] [--small] [--rounds N]

Three scenes: `hippocampus` (60 volumes of TASK_FOLDER, generated ones without it; nnU-Net's plan of 5.6 million
parameters), `ct` (10 generated volumes of 320 x 320 x 200, 5 classes, 1.4 million parameters, resampled from 0.9 x 0.9
x 1 mm to 1 mm) and `structures` (two of 256 x 256 x 200, 60 classes, a small network, resampled to 1.5 mm). All tools
have the same weights, of a training of a few steps. Settings:

- float32: equal precision and windows (half overlapping, Gaussian, no mirroring); one process reads, one writes
- bfloat16: the same for MONAI, beside hilum's defaults, where the machine computes in bfloat16
- defaults: what each tool does by itself: hilum's precision, MONAI's overlap of a quarter without Gaussian, nnU-Net's
  mirroring and 3 + 3 processes
- in 1.75 GB, 8 cases at once: hilum within a budget of memory; hilum with windows of several cases in one batch

`bare` is the network on windows that are already there, also with freed memory kept by the process, as hilum does. Each
contender is a process of its own, start-up included; `peak` is resident memory summed over it and its children. What
was measured is kept in OUT/SCENE/results and not measured again (delete the file to repeat it): so parts can be
measured at several times (`--only 'ct/nnU-Net*'`). FOLDER is nnU-Net's, see `nnunet/driver.py`. `--small` tries the
program on volumes that take a minute or two; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import math
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hilum.hardware import machine
from hilum.inference.windows import window_starts
from nnunet.driver import NNUNet
from predicting.measuring import measured
from predicting.scenes import OVERLAP, Place, Scene, first, make, with_loops, write_model
from reporting.prediction_table import show

HERE = Path(__file__).parent / "predicting"
TRAINER = "nnUNetTrainerSameNetwork"
MIRRORED_VIEWS = 8
MONAI_OVERLAP = 0.25
BATCH, BARE_CALLS = 4, 24
SCENES = (
    Scene("hippocampus", 60, (35, 50, 35), 3, window=(40, 56, 40), filters=(32, 64, 128, 256)),
    Scene(
        "ct",
        10,
        (320, 320, 200),
        5,
        window=(96, 96, 96),
        filters=(16, 32, 64, 128),
        spacing_mm=(0.9, 0.9, 1.0),
        few=(("nnU-Net, defaults", 1), ("nnU-Net, float32", 3), ("MONAI, float32", 3), ("MONAI, bfloat16", 3)),
    ),
    Scene(
        "structures",
        2,
        (256, 256, 200),
        60,
        window=(96, 96, 96),
        filters=(8, 16, 32, 64),
        spacing_mm=(0.9, 0.9, 1.0),
        prepared_mm=1.5,
    ),
)
SMALL = (
    Scene("hippocampus", 3, (35, 50, 35), 3, window=(40, 56, 40), filters=(4, 8, 16), steps=2),
    Scene("ct", 2, (56, 56, 40), 5, window=(32, 32, 32), filters=(4, 8, 16), spacing_mm=(0.9, 0.9, 1.0), steps=2),
    Scene(
        "structures",
        1,
        (56, 56, 40),
        12,
        window=(32, 32, 32),
        filters=(4, 8, 16),
        spacing_mm=(0.9, 0.9, 1.0),
        prepared_mm=1.5,
        steps=2,
    ),
)


@dataclass(frozen=True)
class Contender:
    """A tool with its setting. `options` are what the tool is told; `overlap` and `views` say what it then computes."""

    tool: str
    setting: str
    options: Any
    overlap: float = OVERLAP
    views: int = 1
    precision: str = "float32"

    @property
    def name(self) -> str:
        """Tool and setting."""
        return f"{self.tool}, {self.setting}"


GAUSSIAN = {"sw_batch_size": BATCH, "overlap": OVERLAP, "mode": "gaussian"}
CONTENDERS = (
    Contender("bare", "float32", {"keep_freed_memory": False}),
    Contender("bare", "bfloat16", {"keep_freed_memory": False}, precision="bfloat16"),
    Contender("bare, memory kept", "float32", {"keep_freed_memory": True}),
    Contender("bare, memory kept", "bfloat16", {"keep_freed_memory": True}, precision="bfloat16"),
    Contender("hilum", "float32", ["runtime.precision=float32"]),
    Contender("hilum", "defaults", [], precision="auto"),
    Contender("hilum", "float32 in 1.75 GB", ["runtime.precision=float32", "predict.memory_gb=1.75"]),
    Contender("hilum", "defaults, 8 cases at once", ["predict.cases_at_once=8"], precision="auto"),
    Contender("MONAI", "float32", GAUSSIAN),
    Contender("MONAI", "bfloat16", GAUSSIAN, precision="bfloat16"),
    Contender("MONAI", "defaults", {"sw_batch_size": 1, "overlap": MONAI_OVERLAP}, overlap=MONAI_OVERLAP),
    Contender("nnU-Net", "float32", ["--disable_tta", "-npp", "1", "-nps", "1"]),
    Contender("nnU-Net", "defaults", [], views=MIRRORED_VIEWS),
)


@dataclass(frozen=True)
class Bench:
    """One scene, where it lies, and how it is measured."""

    scene: Scene
    place: Place
    nnunet: NNUNet | None
    most: int

    @property
    def results(self) -> Path:
        """What was measured of the scene."""
        return self.place.folder / "results"

    def volumes(self, contender: Contender) -> int:
        """How many volumes a contender gets."""
        return min(self.most, dict(self.scene.few).get(contender.name, self.scene.volumes))

    def windows(self, count: int, overlap: float) -> float:
        """Mean number of windows of the first volumes."""
        import nibabel as nib

        numbers = []
        for file in sorted(self.place.images.iterdir())[:count]:
            header: Any = nib.load(file).header
            sides = [
                round(side * float(step) / self.scene.prepared_mm)
                for side, step in zip(header.get_data_shape(), header.get_zooms(), strict=True)
            ]
            starts = (window_starts(*pair, overlap) for pair in zip(sides, self.scene.window, strict=True))
            numbers.append(math.prod(map(len, starts)))
        return statistics.mean(numbers)

    def measure(self, contender: Contender) -> dict[str, Any]:
        """What a contender took, a volume, or a window where it is the network alone."""
        count = self.volumes(contender)
        windows = self.windows(count, contender.overlap)
        facts: dict[str, Any] = {"tool": contender.tool, "setting": contender.setting, "precision": contender.precision}
        facts |= {"volumes": count, "windows": windows, "views": contender.views, "machine": machine()}
        out = self.place.folder / "out" / contender.name.replace(", ", "-").replace(" ", "-")
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(exist_ok=True)
        words, environment = self.command(contender, count, out)
        log = out.with_suffix(".log")
        cost = measured(words, environment, log)
        if contender.tool.startswith("bare"):
            facts |= json.loads(log.read_text().splitlines()[-1])
        return {**facts, **asdict(cost), "out": str(out)}

    def command(self, contender: Contender, count: int, out: Path) -> tuple[list[str], dict[str, str]]:
        """The words of a contender's command, and its environment."""
        images = first(self.place, count)
        if contender.tool == "hilum":
            words = [sys.executable, "-m", "hilum", "predict", str(self.place.run), str(images), str(out)]
            return [*words, *contender.options], with_loops()
        if contender.tool == "nnU-Net":
            assert self.nnunet is not None
            write_model(self.scene, self.place, self.nnunet.plans(), trainer=TRAINER)
            numbered = first(self.place, count, ending="_0000")
            return self.nnunet.prediction(self.place.model, numbered, out, words=contender.options)
        network = {"filters": self.scene.filters, "classes": self.scene.classes, "weights": str(self.place.weights)}
        told: dict[str, Any] = {"network": {**network, "precision": contender.precision}, "window": self.scene.window}
        if contender.tool == "MONAI":
            files = [str(file) for file in sorted(images.iterdir())]
            told |= {"files": files, "prepare": self.scene.prepare, "windows": contender.options, "out": str(out)}
        else:
            batch = min(BATCH, math.ceil(self.windows(count, contender.overlap)))
            told |= {**contender.options, "batch": batch, "calls": BARE_CALLS}
        order = out.with_suffix(".json")
        order.write_text(json.dumps(told))
        program = "monai_predict.py" if contender.tool == "MONAI" else "bare_calls.py"
        return [sys.executable, str(HERE / program), str(order)], with_loops()


def run(bench: Bench, patterns: Sequence[str], rounds: int) -> None:
    """Measure what is wanted and was not measured yet, in turns."""
    bench.results.mkdir(exist_ok=True)
    for number in range(rounds):
        for contender in CONTENDERS:
            name = f"{bench.scene.name}/{contender.name}"
            file = bench.results / f"{contender.name}-{number}.json"
            wanted = any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
            if file.exists() or not wanted or (contender.tool == "nnU-Net" and bench.nnunet is None):
                continue
            print(f"measuring {name}, round {number + 1}", flush=True)
            file.write_text(json.dumps(bench.measure(contender), indent=1))


def main() -> int:
    """Measure, then print the table of all that there is."""
    if len(sys.argv) == 1:
        print(__doc__)
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--task", type=Path)
    parser.add_argument("--nnunet", type=Path)
    parser.add_argument("--only", nargs="+", default=["*"], help="SCENE/TOOL, SETTING, such as 'ct/*' or '*/hilum*'")
    parser.add_argument("--most", type=int, default=sys.maxsize, help="volumes of each contender at most")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    out, nnunet = given.out.resolve(), given.nnunet
    print(f"{machine()['cpu']}, {machine()['threads']} threads", flush=True)
    for scene in SMALL if given.small else SCENES:
        if any(fnmatch.fnmatch(f"{scene.name}/", pattern.partition("/")[0] + "/") for pattern in given.only):
            place = make(scene, out / scene.name, task=given.task)
            tool = None if nnunet is None else NNUNet(nnunet, out / "nnunet", trainer=TRAINER)
            run(Bench(scene, place, tool, given.most), given.only, given.rounds)
        if (out / scene.name / "results").is_dir():
            show(out / scene.name / "results")
    return 0


if __name__ == "__main__":
    sys.exit(main())
