"""Cross-validation: folds as runs, continued, shared among processes, pooled, compared; and data from elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.journeys.conftest import Hilum, parts, read_csv, read_json
from tests.report.page.conftest import parsed

from hilum.pipeline.sweeping.locks import taken

FOLDS = (
    "data.split={kind: kfold, folds: 3, val: 0, seed: 1}",
    "train={epochs: 1}",
    "schedule={kind: constant}",
    "name=cv",
    "metrics=[dice]",
    "evaluate={resamples: 200}",
)
NAMES = ("fold-0", "fold-1", "fold-2")


@pytest.fixture(scope="module")
def crossed(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A cross-validation that was begun with one fold, and the configuration; to be read only."""
    config = write_config(tmp_path_factory.mktemp("crossed"))
    folder = config.parent / "runs" / "cv"
    first = hilum("crossval", config, *FOLDS, "--folds", "0")
    assert first.code == 0, first.text
    assert "2 folds of 3 left: fold-1, fold-2" in first.out
    assert not (folder / "summary.json").exists()
    weights = (folder / "fold-0" / "checkpoints" / "last.pt").stat().st_mtime_ns
    with taken(folder / ".fold-2.claim.lock"):  # as if another process were at it
        second = hilum("crossval", config, *FOLDS)
    assert "1 fold of 3 left: fold-2" in second.out, second.text
    third = hilum("crossval", config, *FOLDS)
    assert third.code == 0, third.text
    assert "fold-0: training" not in second.out + third.out
    assert (folder / "fold-0" / "checkpoints" / "last.pt").stat().st_mtime_ns == weights
    return folder, config


def test_every_patient_is_scored_once_by_a_network_that_has_not_seen_it(crossed: tuple[Path, Path]) -> None:
    folder, _ = crossed
    rows = read_csv(folder / "cases.csv")
    everybody: set[str] = set()
    for name in NAMES:
        own = {row["case_id"] for row in rows if row["fold"] == name}
        divided = parts(folder / name)
        assert own == divided["test"]
        assert not own & everybody
        everybody |= own
    assert everybody == set.union(*parts(folder / "fold-0").values())
    assert len(rows) == 2 * len(everybody)


def test_the_pooled_means_are_those_of_all_rows(crossed: tuple[Path, Path]) -> None:
    folder, _ = crossed
    rows = read_csv(folder / "cases.csv")
    summary = read_json(folder / "summary.json")["test"]
    by_class = [np.mean([float(row["dice"]) for row in rows if row["class"] == name]) for name in ("organ", "lesion")]
    score = summary["overall"]["dice"]
    assert score["value"] == pytest.approx(np.mean(by_class))
    assert score["low"] <= score["value"] <= score["high"]
    assert (summary["patients"], summary["cases"]) == (6, len({row["case_id"] for row in rows}))
    each = summary["folds"]["each"]
    assert set(each) == set(NAMES)
    for name in NAMES:
        own = read_json(folder / name / "summary.json")["test"]["overall"]["dice"]["value"]
        assert each[name]["dice"] == pytest.approx(own)
    values = [scores["dice"] for scores in each.values()]
    assert summary["folds"]["mean"]["dice"] == pytest.approx(np.mean(values))
    assert summary["folds"]["std"]["dice"] == pytest.approx(np.std(values, ddof=1))
    for name in NAMES:  # looked at once each, and on record
        assert len((folder / name / "test_ledger.jsonl").read_text().splitlines()) == 1


def test_the_same_command_pools_again_without_training(hilum: Hilum, crossed: tuple[Path, Path]) -> None:
    folder, config = crossed
    before = (folder / "summary.json").read_bytes(), (folder / "cases.csv").read_bytes()
    done = hilum("crossval", config, *FOLDS)
    assert done.code == 0, done.text
    assert "training" not in done.out
    assert ((folder / "summary.json").read_bytes(), (folder / "cases.csv").read_bytes()) == before


def test_a_fold_that_was_stopped_goes_on(hilum: Hilum, crossed: tuple[Path, Path], tmp_path: Path) -> None:
    folder, config = crossed
    own = Path(shutil.copytree(folder, tmp_path / "cv"))
    provenance = own / "fold-1" / "provenance.json"
    facts = read_json(provenance)
    del facts["finished"]
    provenance.write_text(json.dumps(facts))
    for file in (own / "fold-1" / "cases.csv", own / "summary.json"):
        file.unlink()
    done = hilum("crossval", config, *FOLDS, f"runs={tmp_path}")
    assert done.code == 0, done.text
    assert "fold-1: going on" in done.out
    assert (own / "cases.csv").read_bytes() == (folder / "cases.csv").read_bytes()


def test_mistakes_are_messages(hilum: Hilum, crossed: tuple[Path, Path], trained: Path, tmp_path: Path) -> None:
    folder, config = crossed
    hilum("crossval", config, *FOLDS, "optimizer.lr=1e-4").refuses("begun with other settings", "optimizer.lr")
    hilum("crossval", config, *FOLDS, "--folds", "3").refuses("received '3'", "0 to 2")
    hilum("crossval", config, *FOLDS, "--folds", "fold-11").refuses("did you mean 'fold-1'?")
    hilum("crossval", config, "name=other").refuses("'holdout' has one division", "kfold")
    hilum("crossval", config, *FOLDS, f"runs={trained.parent}", "name=tiny").refuses("is no cross-validation")
    hilum("crossval", config, *FOLDS, "data.split.folds=9", "name=new", "--folds", "7").refuses("expected")
    hilum("compare", folder, tmp_path / "nothing").refuses("no such folder")


def test_overwriting_begins_again_and_keeps_the_ledgers(
    hilum: Hilum, crossed: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, config = crossed
    own = Path(shutil.copytree(folder, tmp_path / "cv"))
    again = ("crossval", config, *FOLDS, f"runs={tmp_path}", "--folds", "1", "--overwrite")
    hilum(*again, "train.freeze_to=nothing").refuses("no stage of the network")
    assert (own / "fold-0" / "config.yaml").exists()
    done = hilum(*again, "optimizer.lr=1e-4")
    assert done.code == 0, done.text
    assert not (own / "summary.json").exists()
    assert not (own / "fold-0" / "config.yaml").exists()
    assert len((own / "fold-1" / "test_ledger.jsonl").read_text().splitlines()) == 2
    assert (own / "fold-0" / "test_ledger.jsonl").exists()


def test_two_cross_validations_are_compared(hilum: Hilum, crossed: tuple[Path, Path], tmp_path: Path) -> None:
    folder, _ = crossed
    other = Path(shutil.copytree(folder, tmp_path / "worse"))
    rows = read_csv(folder / "cases.csv")
    lines = (folder / "cases.csv").read_text().splitlines()
    place = lines[0].split(",").index("dice")
    halved = [line.split(",") for line in lines[1:]]
    for cells in halved:
        cells[place] = repr(float(cells[place]) / 2)
    (other / "cases.csv").write_text("\n".join([lines[0], *map(",".join, halved)]) + "\n")
    done = hilum("compare", folder, other, "-o", tmp_path / "compared")
    assert done.code == 0, done.text
    (line,) = [
        row
        for row in read_csv(tmp_path / "compared" / "compare.csv")
        if (row["score"], row["structure"]) == ("dice", "")
    ]
    means = [np.mean([float(row["dice"]) for row in rows if row["class"] == name]) for name in ("organ", "lesion")]
    assert float(line["difference"]) == pytest.approx(np.mean(means) / 2)
    (other / "cases.csv").write_text(
        "\n".join([lines[0], *(line for line in lines[1:] if "fold-2" not in line)]) + "\n"
    )
    hilum("compare", folder, other, "-o", tmp_path / "again").refuses("lacks 2 patients that", str(other))


@pytest.mark.slow
def test_repeats_pool_every_score_of_a_patient(hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path) -> None:
    config = write_config(tmp_path)
    split = "data.split={kind: repeated_kfold, folds: 2, repeats: 2, val: 0, seed: 1}"
    done = hilum("crossval", config, *FOLDS, split)
    assert done.code == 0, done.text
    summary = read_json(tmp_path / "runs" / "cv" / "summary.json")["test"]
    rows = read_csv(tmp_path / "runs" / "cv" / "cases.csv")
    cases = {row["case_id"] for row in rows}
    assert len(rows) == 2 * 2 * len(cases)
    assert (summary["patients"], summary["cases"]) == (6, 2 * len(cases))
    assert any("each time counts" in note for note in summary["notes"])


def other_data(folder: Path) -> Path:
    """A YAML file that names three patients whom the run has not seen."""
    file = folder / "hospital b.yaml"
    place = folder / "elsewhere"
    source = f"{{kind: phantom, folder: {place}, patients: 3, scans_per_patient: 1, spacing_mm: 4.0, seed: 8}}"
    file.write_text(f"data:\n  source: {source}\n")
    return file


def test_other_data_have_a_page_and_are_compared(hilum: Hilum, own_run: Path, tmp_path: Path) -> None:
    other, home = other_data(tmp_path), own_run / "external" / "hospital-b"
    assert hilum("evaluate", own_run, "--data", other).code == 0
    words = parsed((home / "report.html").read_text()).words
    assert "3 cases of 3 patients of other data" in words
    assert "is missing" not in words
    assert "data:image/png" in (home / "report.html").read_text()
    hilum("report", home, "--part", "test").refuses("'external' only")
    twin = shutil.copytree(home, tmp_path / "twin")
    compared = hilum("compare", home, twin, "-o", tmp_path / "same")
    assert compared.code == 0, compared.text
    assert {row["difference"] for row in read_csv(tmp_path / "same" / "compare.csv")} == {"0.0"}
    hilum("report", twin).refuses("scores of a run, which is not in")
    broken = sorted({row["case_id"] for row in read_csv(home / "cases.csv")})[:2]
    ledger = (own_run / "test_ledger.jsonl").read_text()
    for kind, name in zip(("labels", "images"), broken, strict=True):
        (tmp_path / "elsewhere" / kind / f"{name}.nii.gz").write_bytes(b"no scan")
    hilum("evaluate", own_run, "--data", other).refuses(*broken)
    assert (own_run / "test_ledger.jsonl").read_text() == ledger


def test_other_data_are_scored_beside_the_runs_own(hilum: Hilum, own_run: Path, tmp_path: Path) -> None:
    other = other_data(tmp_path)
    before = (own_run / "cases.csv").read_bytes(), (own_run / "summary.json").read_bytes()
    done = hilum("evaluate", own_run, "--data", other)
    assert done.code == 0, done.text
    home = own_run / "external" / "hospital-b"
    rows = read_csv(home / "cases.csv")
    assert {row["part"] for row in rows} == {"external"}
    summary = read_json(home / "summary.json")["external"]
    assert summary["patients"] == 3
    means = [np.mean([float(row["dice"]) for row in rows if row["class"] == name]) for name in ("organ", "lesion")]
    assert summary["overall"]["dice"]["value"] == pytest.approx(np.mean(means))
    assert ((own_run / "cases.csv").read_bytes(), (own_run / "summary.json").read_bytes()) == before
    looks = [json.loads(line) for line in (own_run / "test_ledger.jsonl").read_text().splitlines()]
    assert [look["part"] for look in looks] == ["external hospital-b"]
    assert "looked at 2 times" in hilum("evaluate", own_run, "--data", other).out
    tested = hilum("evaluate", own_run, "--part", "test")
    assert "the test part of this run has been looked at once" in tested.out


def test_other_data_that_do_not_fit_are_refused(hilum: Hilum, own_run: Path, phantoms: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    known = f"{{kind: phantom, folder: {phantoms}, patients: 6, scans_per_patient: 2, spacing_mm: 4.0, seed: 3}}"
    other.write_text(f"data: {{source: {known}}}\n")
    hilum("evaluate", own_run, "--data", other).refuses("the voxels of case")
    other.write_text(f"task: {{kind: segmentation, classes: [none, organ]}}\ndata: {{source: {known}}}\n")
    hilum("evaluate", own_run, "--data", other).refuses("task", "the network was trained for")
    other.write_text("data: {batch_size: 2}\n")
    hilum("evaluate", own_run, "--data", other).refuses("data.source", "is required")
    other.write_text("data: {source: {kind: phantm}}\n")
    hilum("evaluate", own_run, "--data", other).refuses("phantm", "phantom")
    hilum("evaluate", own_run, "--data", other, "--part", "test").refuses("--part test")
