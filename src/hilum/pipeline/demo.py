"""The demo: a cohort of phantom patients from generation to labelled volumes, in one folder."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from time import perf_counter

from hilum.errors import ConfigError
from hilum.experiment import load
from hilum.pipeline.evaluation import evaluate
from hilum.pipeline.predicting import predict
from hilum.pipeline.reporting import REPORT_NAME, write_report
from hilum.pipeline.training import train
from hilum.run import Run, write_text

Say = Callable[[str], None]


def demo(folder: Path, overrides: Sequence[str] = (), *, say: Say = print) -> Run:
    """The run of the demo, everything of which lies in `folder`: phantom patients, run folder, predictions.

    An earlier demo in the same folder is replaced. Raises ConfigError where the folder holds something else.
    """
    start = perf_counter()
    config = folder / "demo.yaml"
    if folder.exists() and any(folder.iterdir()) and not config.exists():
        raise ConfigError(
            f"{folder} holds something else than a demo: name another folder, as in `hilum demo NEW_FOLDER`"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(config, shipped_config("demo.yaml"))
    places = [f"data.source.folder={folder / 'phantom'}", f"data.cache={folder / 'cache'}", f"runs={folder / 'runs'}"]
    say(f"1/4 generating phantom patients in {folder / 'phantom'}")
    experiment = load(config, [*places, *overrides])
    cohort = experiment.data.source.cohort(experiment.provisional_problem().kind)
    say(f"    {len(cohort.cases)} scans of {len({case.patient for case in cohort.cases})} patients")
    say("2/4 training")
    run = train(config, [*places, *overrides], overwrite=True, say=say)
    say("3/4 scoring the test patients, which training never saw")
    evaluate(run.folder, part="test", say=say)
    write_report(run.folder, part="test", say=say)
    say("4/4 labelling the test patients' volumes on their own grids")
    predictions = folder / "predictions"
    manifest = _manifest(run, folder)
    predict(run.folder, manifest, predictions, say=say)
    say(f"done in {perf_counter() - start:.0f} s; look at:")
    for what, where in (
        ("the report: open it in a browser", run.folder / REPORT_NAME),
        ("scores by case and structure", run.cases),
        ("means and intervals", run.summary),
        ("learning curves", run.folder / "learning_curves.png"),
        ("worst, median and best test case", run.folder / "cases_test.png"),
        ("labelled volumes and results.csv", predictions),
        ("the configuration, to start your own from", config),
    ):
        say(f"  {where!s:<48} {what}")
    return run


def shipped_config(name: str) -> str:
    """The text of a shipped configuration: from the installed package, or from the repository in development."""
    installed = resources.files("hilum") / "configs" / name
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    return (Path(__file__).parents[3] / "configs" / name).read_text(encoding="utf-8")


def _manifest(run: Run, folder: Path) -> Path:
    """A manifest of the images of the test patients, with paths relative to itself."""
    experiment = load(run.config)
    with run.split.open(newline="", encoding="utf-8") as table:
        test = {row["case_id"] for row in csv.DictReader(table) if row["part"] == "test"}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case_id", "patient_id", "image"])
    for case in experiment.data.source.cohort("segmentation").cases:
        if case.id in test:
            writer.writerow([case.id, case.patient, os.path.relpath(case.files[0].path, folder)])
    manifest = folder / "test_images.csv"
    write_text(manifest, text.getvalue())
    return manifest
