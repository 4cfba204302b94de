"""`hilum split`: the division of the patients alone, printed, drawn and written; and trained with as it was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.journeys.conftest import Hilum, read_csv, write_csv

CONFIG = """\
name: x
task: {{kind: classification, classes: [healthy, sick]}}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, patient: patient}}
  split: {{kind: kfold, folds: 4, stratify: [label, site, {{column: age, bins: 2}}]}}
network: resnet
loss: cross_entropy
metrics: auroc
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A table of 12 patients with 1 or 2 pictures each."""

    def write_table(**changes: str) -> Path:
        from PIL import Image

        rows = []
        for patient in range(12):
            for scan in range(1 + patient % 2):
                name = f"{patient:02d}_{scan}.png"
                Image.new("L", (8, 8), patient).save(tmp_path / name)
                label, site = ("sick" if patient % 3 == 0 else "healthy"), "AB"[patient % 2]
                row = {"image": name, "label": label, "patient": f"p{patient}", "site": site, "age": 20 + patient}
                rows.append({**row, **changes})
        write_csv(tmp_path / "cases.csv", rows)
        (tmp_path / "x.yaml").write_text(CONFIG.format(folder=tmp_path))
        return tmp_path / "x.yaml"

    return write_table


def test_it_prints_draws_and_writes(hilum: Hilum, write: Write, tmp_path: Path) -> None:
    table, picture = tmp_path / "split.csv", tmp_path / "split.png"
    done = hilum("split", write(), "-o", table, "--picture", picture)
    assert done.code == 0, done.text
    assert "18 cases of 12 patients; split kfold, fold-0" in done.out
    lines = [line.split() for line in done.out.splitlines()]
    rows = read_csv(table)
    for part in ("train", "val", "test"):
        own = [row for row in rows if row["part"] == part]
        patients = len({row["patient_id"] for row in own})
        line = next(line for line in lines if line[:1] == [part])
        assert [line[1], line[3]] == [str(patients), str(len(own))]
    assert Counter(line[0] for line in lines if line and line[0].startswith("fold-")) == {
        f"fold-{fold}": 4 for fold in range(4)
    }
    assert [word for word in ("label", "site", "age") if f"{word} (patients / cases)" not in done.out] == []
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert not (tmp_path / "runs").exists()
    # The table is what a run would write, and can be trained with as it is.
    given = hilum("split", tmp_path / "x.yaml", f"data.split={{kind: predefined, file: {table}}}")
    assert given.code == 0, given.text
    assert given.out.splitlines()[-1] == next(line for line in done.out.splitlines() if line.startswith("split sha"))


def test_nothing_is_overwritten_unasked(hilum: Hilum, write: Write, tmp_path: Path) -> None:
    config, table = write(), tmp_path / "split.csv"
    table.write_text("mine")
    hilum("split", config, "-o", table).refuses("split.csv exists already", "--overwrite")
    assert table.read_text() == "mine"
    assert hilum("split", config, "-o", table, "--overwrite", "data.split.fold=1").code == 0
    assert {row["fold"] for row in read_csv(table)} == {"1"}
    hilum("split", config, "-o", tmp_path).refuses("is a folder")
    hilum("split", config, "--picture", tmp_path / "split.jpg").refuses("split.jpg", ".png")
    (tmp_path / "closed").write_text("a file where a folder is expected")
    hilum("split", config, "-o", tmp_path / "closed" / "split.csv").refuses("split.csv")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.split={kind: kfold, folds: 13, fold: 12}"], ["data.split", "fold: received 12, expected 0 to 11"]),
        (["data.split.stratify=[stie]"], ["no column 'stie'; did you mean 'site'?"]),
        (["data.split.stratify=[age]"], ["'age' holds 12 different numbers", "bins"]),
        (["data.split.stratify=[{column: age, bin: 3}]"], ["unknown key 'bin'; did you mean 'bins'?"]),
        (["data.split={kind: nested, outer_folds: 2, inner_folds: 7, inner: 6}"], ["inner: received 6", "0 to 5"]),
        (["data.split={kind: nestd}"], ["did you mean 'nested'?"]),
        (["data.split={kind: leave_one_group_out}"], ["data.split.by", "is required"]),
        (["data.split={kind: leave_one_group_out, by: site, group: C}"], ["no site 'C'", "A, B"]),
        (["data.split={kind: kfold, fold: 5}"], ["a fold from 0 to 4"]),
        (["data.source.file=nowhere.csv"], ["nowhere.csv"]),
    ],
)
def test_mistakes_are_messages(
    hilum: Hilum, write: Write, tmp_path: Path, overrides: list[str], words: list[str]
) -> None:
    hilum("split", write(), *overrides, "-o", tmp_path / "split.csv").refuses(*words)
    assert not (tmp_path / "split.csv").exists()


@pytest.mark.parametrize(
    ("split", "named"),
    [
        ("{kind: nested, outer_folds: 3, inner_folds: 2}", ["outer-0", "outer-1", "outer-2"]),
        ("{kind: repeated_kfold, folds: 2, repeats: 2}", ["repeat-0-fold-1", "repeat-1-fold-0"]),
        ("{kind: leave_one_group_out, by: site}", ["group-A", "group-B"]),
    ],
)
def test_all_runs_of_a_kind_are_shown(hilum: Hilum, write: Write, split: str, named: list[str]) -> None:
    done = hilum("split", write(), f"data.split={split}")
    assert done.code == 0, done.text
    assert all(f"\n{name} " in done.out for name in named)


def test_spellings_of_a_patient_stay_together_and_are_named(hilum: Hilum, write: Write, tmp_path: Path) -> None:
    config, table = write(), tmp_path / "cases.csv"
    rows = read_csv(table)
    rows[0]["patient"], rows[3]["patient"] = "P1", "p 001"
    write_csv(table, rows)
    done = hilum("split", config, "-o", tmp_path / "split.csv")
    assert done.code == 0, done.text
    assert "warning: similar patient ids: received 'P1', 'p 001', 'p1'" in done.out
    parts = {row["part"] for row in read_csv(tmp_path / "split.csv") if row["patient_id"] in ("P1", "p 001", "p1")}
    assert len(parts) == 1
    # Given parts that part them are refused, and so is a word that stands for no id.
    for row in rows:
        row["split"] = "test" if row["patient"] == "p1" else "train"
    write_csv(table, rows)
    hilum("split", config, "data.split=predefined", "data.source.part=split").refuses(
        "P1 or p 001 or p1 (train and test)"
    )
    write_csv(table, [{**row, "patient": row["patient"].replace("p7", "NaN")} for row in rows])
    hilum("split", config).refuses("no patient id", "received 'NaN'")


def test_many_values_make_a_narrow_table(hilum: Hilum, write: Write, tmp_path: Path) -> None:
    config = write()
    rows = read_csv(tmp_path / "cases.csv")
    write_csv(tmp_path / "cases.csv", [{**row, "word": f"a long text, number {k}"} for k, row in enumerate(rows)])
    done = hilum("split", config, "data.split={kind: holdout, stratify: [word]}")
    assert done.code == 0, done.text
    assert "12 others" in done.out
    assert max(map(len, done.out.splitlines())) < 230


def test_notes_are_shown(hilum: Hilum, write: Write) -> None:
    done = hilum("split", write(patient="one"), "data.split={kind: holdout}")
    assert done.code == 0, done.text
    assert "note: one patient: its scans are cut into contiguous blocks" in done.out
