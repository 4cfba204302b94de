"""`hilum check` names everybody who may not be scored: seen by other weights, or in two parts of the split."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.journeys.conftest import Hilum, parts, read_csv, write_csv

WriteConfig = Callable[..., Path]
SEEN = "seen by another run"


def divided(file: Path, train: set[str], test: set[str]) -> str:
    """A split of these cases, as a setting."""
    rows = [{"case_id": case, "part": part} for part, ids in (("train", train), ("test", test)) for case in ids]
    return f"data.split={{kind: predefined, file: {write_csv(file, rows)}}}"


def named(table: Path, kind: str) -> set[str]:
    """The cases of all findings of a kind."""
    return {row["case"] for row in read_csv(table) if row["kind"] == kind}


def test_patients_whom_the_run_has_seen_may_not_be_scored(
    hilum: Hilum, trained: Path, write_config: WriteConfig, tmp_path: Path
) -> None:
    own, table = parts(trained), tmp_path / "found.csv"
    seen = own["train"] | own["val"]
    swapped = divided(tmp_path / "parts.csv", own["test"], seen)
    refused = hilum("check", write_config(tmp_path), swapped, "--seen", trained, "--table", table)
    # One split for both would not do: whom that run was chosen on would be in val again.
    refused.refuses(f"{SEEN} ({len(seen)})", "run tiny", "let it be in train here")
    assert named(table, SEEN) == seen


def test_nobody_is_accused_of_having_been_learnt_from_twice(
    hilum: Hilum, trained: Path, write_config: WriteConfig, tmp_path: Path
) -> None:
    own, table = parts(trained), tmp_path / "found.csv"
    same = divided(tmp_path / "parts.csv", own["train"] | own["val"], own["test"])
    done = hilum("check", write_config(tmp_path), same, "--seen", trained, "--table", table)
    assert done.code == 0, done.text
    assert not named(table, SEEN)


def test_scans_that_the_run_has_seen_are_known_under_other_names(
    hilum: Hilum, trained: Path, phantoms: Path, write_config: WriteConfig, tmp_path: Path
) -> None:
    own, rows = parts(trained), []
    chosen = [min(own["test"]), min(own["train"]), min(own["val"])]
    for number, case in enumerate(chosen):
        row = {"case_id": f"stranger{number}", "patient": f"nobody{number}"}
        for column in ("images", "labels"):
            (packed,) = (phantoms / column).glob(f"{case}*.nii.gz")
            file = tmp_path / f"{column}{number}.nii"
            file.write_bytes(gzip.decompress(packed.read_bytes()))
            row[column] = file.name
        rows.append(row)
    file = write_csv(tmp_path / "cases.csv", rows)
    source = f"{{kind: csv_table, file: {file}, image: images, label: labels, patient: patient, id: case_id}}"
    config, table = write_config(tmp_path, source=source), tmp_path / "found.csv"
    split = divided(tmp_path / "parts.csv", {"stranger0"}, {"stranger1", "stranger2"})
    refused = hilum("check", config, split, "--seen", trained, "--table", table)
    refused.refuses(f"the voxels of case {chosen[1]}", f"the voxels of case {chosen[2]}")
    assert named(table, SEEN) == {"stranger1", "stranger2"}


def test_a_folder_that_is_no_run_is_refused_at_once(hilum: Hilum, write_config: WriteConfig, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused = hilum("check", write_config(tmp_path), "--seen", tmp_path / "empty")
    refused.refuses(f"{tmp_path / 'empty'} is not a run folder")
    assert refused.out == ""  # not even the configuration was looked at


@pytest.mark.parametrize("verb", ["check", "train"])
def test_all_patients_in_two_parts_are_counted_and_in_the_table(verb: str, hilum: Hilum, tmp_path: Path) -> None:
    """A split by image: patients 0 to 11 have one picture in train and one in test, patients 12 to 19 both in train."""
    rows = []
    for number in range(40):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / f"{number}.png")
        patient, part = number % 20, "test" if number >= 20 and number % 20 < 12 else "train"
        rows.append({"image": f"{number}.png", "label": "ab"[number % 2], "patient": f"p{patient}", "part": part})
    source = f"{{kind: csv_table, file: {write_csv(tmp_path / 'cases.csv', rows)}, patient: patient, part: part}}"
    config = tmp_path / "x.yaml"
    config.write_text(
        f"name: x\ntask: {{kind: classification, classes: [a, b]}}\ndata:\n  source: {source}\n  split: predefined\n"
        "network: lenet5\nloss: cross_entropy\nmetrics: accuracy\n"
    )
    if verb == "train":
        hilum("train", config).refuses("patients in more than one part: 12, such as p0 (train and test)")
        return
    table = tmp_path / "found.csv"
    refused = hilum("check", config, "--table", table)
    refused.refuses(f"{config}:5: data.split: patients in more than one part (12)", "and 9 more", "--table FILE")
    found = [row["received"] for row in read_csv(table) if row["kind"] == "patients in more than one part"]
    assert sorted(found) == sorted(f"patient p{number} (train and test)" for number in range(12))
