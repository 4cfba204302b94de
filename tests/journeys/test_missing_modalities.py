"""Some patients lack a modality: train, stop and go on, evaluate by subset, and predict with what there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tests.journeys.conftest import Hilum, nifti, parts, read_csv, read_json, read_log, write_csv

MISSING = "data.missing={dropout: 0.5}"
LACKS = {1: "t2", 3: "t1", 4: "t2", 7: "t1"}
"""The modality that is missing, by the place of a case in the table."""


@pytest.fixture(scope="session")
def gaps(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom patients in two modalities, the second the square of the first; some cases lack one of them."""
    folder = tmp_path_factory.mktemp("gaps")
    rows = []
    for number, row in enumerate(read_csv(phantoms / "cases.csv")):
        image, name = nifti(phantoms / row["image"]), row["case_id"]
        values = np.asarray(image.dataobj, dtype=np.float32)
        for modality, voxels in (("t1", values), ("t2", values**2)):
            nib.save(nib.Nifti1Image(voxels, image.affine), folder / f"{name}_{modality}.nii.gz")
        files = {m: "" if LACKS.get(number) == m else f"{name}_{m}.nii.gz" for m in ("t1", "t2")}
        mask = {"mask": str(phantoms / row["label"])}
        rows.append({"case_id": name, "patient_id": row["patient_id"], **files, **mask})
    write_csv(folder / "cases.csv", rows)
    return folder


@pytest.fixture(scope="session")
def config(gaps: Path, write_config: Callable[..., Path]) -> Callable[..., Path]:
    """Writes the tiny experiment on these patients into a folder."""

    def write(folder: Path, more: str = "") -> Path:
        source = (
            f"{{kind: csv_table, file: {gaps}/cases.csv, image: {{first: t1, second: t2}}, label: mask,"
            " patient: patient_id, id: case_id}"
        )
        return write_config(folder, source=source, more=more)

    return write


@pytest.fixture(scope="session")
def run(hilum: Hilum, config: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to be read only."""
    folder = tmp_path_factory.mktemp("missing")
    done = hilum("train", config(folder), MISSING)
    assert done.code == 0, done.text
    return folder / "runs" / "tiny"


def subsets(gaps: Path) -> dict[str, str]:
    names = {"t1": "first", "t2": "second"}
    return {
        row["case_id"]: "+".join(name for column, name in names.items() if row[column])
        for row in read_csv(gaps / "cases.csv")
    }


@pytest.mark.parametrize("verb", ["check", "train"])
def test_without_the_setting_it_is_refused_before_anything_is_written(
    hilum: Hilum, config: Callable[..., Path], gaps: Path, tmp_path: Path, verb: str
) -> None:
    lacking = [case for case, subset in subsets(gaps).items() if "+" not in subset]
    said = ("data.missing", f"{len(lacking)} cases have not all channels (first, second)", *lacking, "(second)")
    hilum(verb, config(tmp_path)).refuses(*said)
    assert not (tmp_path / "runs").exists()
    hilum(verb, config(tmp_path), "data.missing={dropout: 2}").refuses("data.missing.dropout")


def test_a_setting_that_cannot_apply_is_refused(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    for verb in ("check", "train"):
        hilum(verb, write_config(tmp_path), MISSING).refuses("data.missing", "the only channel, 'image'")
    assert not (tmp_path / "runs").exists()


def test_a_check_runs_a_batch_with_what_is_missing(hilum: Hilum, config: Callable[..., Path], tmp_path: Path) -> None:
    done = hilum("check", config(tmp_path), MISSING)
    assert done.code == 0, done.text
    assert not (tmp_path / "runs").exists()


def test_scores_are_told_by_subset(hilum: Hilum, run: Path, gaps: Path) -> None:
    expected = subsets(gaps)
    done = hilum("evaluate", run)
    assert done.code == 0, done.text
    rows = read_csv(run / "cases.csv")
    assert {row["case_id"]: row["modalities"] for row in rows} == {case: expected[case] for case in parts(run)["val"]}
    by = read_json(run / "summary.json")["val"]["by"]["modalities"]
    counted = Counter(expected[case] for case in parts(run)["val"])
    assert {name: entry["cases"] for name, entry in by.items()} == counted
    assert len(counted) > 1
    assert "by modalities" in done.out
    for name, entry in by.items():
        scores = [
            [float(r["dice"]) for r in rows if r["modalities"] == name and r["class"] == c] for c in ("organ", "lesion")
        ]
        assert entry["overall"]["dice"]["value"] == pytest.approx(np.mean([np.mean(values) for values in scores]))
        assert f"{entry['overall']['dice']['value']:.3f}" in done.out


def test_stopped_and_resumed_it_ends_with_the_same_weights(
    hilum: Hilum, command: Hilum, config: Callable[..., Path], alarm: Path, run: Path, tmp_path: Path
) -> None:
    """Killed in the second epoch, in the middle of batches whose samples lose channels."""
    trigger = tmp_path / "trigger"
    steps = f"data.augment=[{{kind: affine, probability: 0.7}}, noise, {{kind: alarm, trigger: {trigger}}}]"
    late = 2 * -(-len(parts(run)["train"]) // 2) + 3
    trigger.write_text(f"sample {late} SIGKILL")
    killed = command("train", config(tmp_path, f"plugins: [{alarm.name}]\n"), MISSING, steps)
    assert killed.code == -9, killed.text
    own = tmp_path / "runs" / "tiny"
    assert len(read_log(own)) == 1
    assert hilum("train", "--resume", own).code == 0
    facts, expected = read_json(own / "provenance.json"), read_json(run / "provenance.json")
    assert facts["weights_sha256"] == expected["weights_sha256"]
    assert read_log(own) == read_log(run)


def test_prediction_takes_what_there_is(hilum: Hilum, run: Path, gaps: Path, tmp_path: Path) -> None:
    name = next(case for case, subset in subsets(gaps).items() if subset == "first+second")
    first, second = (gaps / f"{name}_{modality}.nii.gz" for modality in ("t1", "t2"))
    nothing = tmp_path / "nothing.nii.gz"
    listed: list[dict[str, object]] = [
        {"case_id": "both", "first": first, "second": second},
        {"case_id": "one", "first": first, "second": ""},
        {"case_id": "other", "first": "", "second": second},
        {"case_id": "none", "first": "", "second": ""},
        {"case_id": "gone", "first": first, "second": nothing},
    ]
    done = hilum("predict", run, write_csv(tmp_path / "new.csv", listed), tmp_path / "out")
    assert done.code == 3, done.text
    rows = {row["case_id"]: row for row in read_csv(tmp_path / "out/results.csv")}
    assert {case: row["modalities"] for case, row in rows.items()} == {
        "both": "first+second",
        "one": "first",
        "other": "second",
    }
    assert [len(row["input_sha256"].split()) for row in rows.values()] == [2, 1, 1]
    source = nifti(first)
    for case in rows:
        out = nifti(tmp_path / f"out/{case}.nii.gz")
        assert out.shape == source.shape
        assert np.array_equal(out.affine, source.affine)
    reasons = {row["case_id"]: row["reason"] for row in read_csv(tmp_path / "out/failures.csv")}
    assert "no image at all" in reasons["none"]
    assert "nothing.nii.gz" in reasons["gone"]  # a file that is named but absent is a mistake, no missing modality


def test_a_run_that_never_missed_a_channel_refuses_such_a_case(
    hilum: Hilum, config: Callable[..., Path], gaps: Path, tmp_path: Path
) -> None:
    whole = [row for row in read_csv(gaps / "cases.csv") if row["t1"] and row["t2"]]
    file = tmp_path / "whole.csv"
    write_csv(file, [{**row, "t1": gaps / row["t1"], "t2": gaps / row["t2"]} for row in whole])
    words = (f"data.source.file={file}", "train.epochs=1", "schedule.warmup=0")
    done = hilum("train", config(tmp_path), *words)
    assert done.code == 0, done.text
    own = tmp_path / "runs" / "tiny"
    assert "modalities" not in read_csv(own / "cases.csv")[0]
    assert "by" not in read_json(own / "summary.json")["val"]
    listed = [{"case_id": "x", "first": gaps / whole[0]["t1"], "second": ""}]
    predicted = hilum("predict", own, write_csv(tmp_path / "new.csv", listed), tmp_path / "out")
    assert predicted.code == 3, predicted.text
    (failure,) = read_csv(tmp_path / "out/failures.csv")
    assert failure["stage"] == "reading"
    assert "lacks second, and the network was trained without data.missing" in failure["reason"]
