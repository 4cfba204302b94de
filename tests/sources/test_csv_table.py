"""Cases from a table: columns, cells, files and ids, each fault named at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.registry import parse
from hilum.sources.csv_table import CsvTableConfig
from hilum.sources.patients import UNKNOWN

MANIFEST = Path(__file__).parents[2] / "configs" / "membranes.csv"
COLUMNS = "scan,mask,who,class,age,part,z\n"
ROWS = [
    "a/001.png,m/001.png,7,sick,55,train,0",
    "a/002.png,m/002.png,7,well,55,,1.5",
    "b/003.png,m/003.png,08,well,61,test,2",
]


def write(folder: Path, rows: list[str] | None = None, *, columns: str = COLUMNS, colours: int = 1) -> Path:
    """A table whose image files exist."""
    rows = ROWS if rows is None else rows
    for row in rows:
        for name in row.split(",")[:2]:
            (folder / name).parent.mkdir(exist_ok=True)
            array = np.zeros((4, 5, 3) if colours == 3 else (4, 5), dtype=np.uint8)
            Image.fromarray(array).save(folder / name)
    file = folder / "cases.csv"
    file.write_text(columns + "\n".join(rows) + "\n", encoding="utf-8-sig")
    return file


def config(file: Path, **settings: Any) -> CsvTableConfig:
    found = parse("sources", {"kind": "csv_table", "file": str(file), "image": "scan", "patient": "who", **settings})
    assert isinstance(found, CsvTableConfig)
    return found


def test_segmentation_has_masks_and_keeps_the_other_columns(tmp_path: Path) -> None:
    cohort = config(write(tmp_path), label="mask", part="part", order="z").cohort("segmentation")
    first, second, third = cohort.cases
    assert [case.id for case in cohort.cases] == ["001", "002", "003"]
    assert [case.patient for case in cohort.cases] == ["7", "7", "08"]
    assert [case.part for case in cohort.cases] == ["train", None, "test"]
    assert first.files == (ImageRef(tmp_path / "a/001.png"),)
    assert first.label == ImageRef(tmp_path / "m/001.png")
    assert dict(second.metadata) == {"class": "well", "age": "55", "order": "1.5"}
    assert dict(third.metadata)["order"] == "2"
    assert (cohort.channels, cohort.notes) == (("image",), ())


def test_classification_has_texts(tmp_path: Path) -> None:
    cohort = config(write(tmp_path), label="class", id="z").cohort("classification")
    assert [case.label for case in cohort.cases] == ["sick", "well", "well"]
    assert [case.id for case in cohort.cases] == ["0", "1.5", "2"]
    unlabelled = config(tmp_path / "cases.csv", label=None).cohort("classification")
    assert {case.label for case in unlabelled.cases} == {None}


def test_several_images_are_named_channels(tmp_path: Path) -> None:
    cohort = config(write(tmp_path), image={"t1": "scan", "flair": "mask"}, label="class").cohort("classification")
    assert cohort.channels == ("t1", "flair")
    assert cohort.cases[0].files == (ImageRef(tmp_path / "a/001.png"), ImageRef(tmp_path / "m/001.png"))


def test_colours_are_channels(tmp_path: Path) -> None:
    cohort = config(write(tmp_path, colours=3), label="class").cohort("classification")
    assert cohort.channels == ("red", "green", "blue")


def test_root_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    file = write(tmp_path / "images").rename(tmp_path / "elsewhere.csv")
    cohort = config(file, label="class", root=str(tmp_path / "images")).cohort("classification")
    assert cohort.cases[2].files[0].path == tmp_path / "images" / "b/003.png"


def test_patients_may_come_from_elsewhere(tmp_path: Path) -> None:
    settings = {"patient": None, "label": "class"}
    cohort = config(write(tmp_path), **settings, patients={"each_case": True}).cohort("classification")
    assert [case.patient for case in cohort.cases] == ["001", "002", "003"]
    assert cohort.notes == (UNKNOWN,)
    (tmp_path / "whose.csv").write_text("case_id,patient_id\n001,x\n002,x\n003,y\n")
    cohort = config(tmp_path / "cases.csv", **settings, patients={"table": "whose.csv"}).cohort("classification")
    assert [case.patient for case in cohort.cases] == ["x", "x", "y"]


@pytest.mark.parametrize("settings", [{"patient": None}, {"patients": {"each_case": True}}])
def test_patients_are_known_in_exactly_one_way(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="exactly one of patient: COLUMN and patients"):
        config(tmp_path / "cases.csv", **settings)


def test_all_missing_columns_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"'scans' \(did you mean 'scan'\?\), 'masks' \(did you mean 'mask'\?\), 'subject'"
    ):
        config(write(tmp_path), image="scans", label="masks", patient="subject").cohort("segmentation")


def test_all_missing_files_are_counted_and_five_named(tmp_path: Path) -> None:
    rows = [f"a/{number}.png,m/{number}.png,1,sick,1,train,0" for number in range(8)]
    file = write(tmp_path, rows)
    for number in range(1, 8):
        (tmp_path / f"m/{number}.png").unlink()
    with pytest.raises(DataError, match=r"7 of the files that it names do not exist: .*m/5\.png and 2 more$"):
        config(file, label="mask").cohort("segmentation")


@pytest.mark.parametrize(
    ("row", "settings", "message"),
    [
        ("b/001.png,m/9.png,1,sick,1,train,3", {}, r"ids must be unique, found more than once: 001; "),
        ("b/004.png,m/9.png,,sick,1,train,3", {}, "empty cells: who in line 5"),
        ("b/004.png,m/9.png,1,,1,train,3", {}, "empty cells: class in line 5"),
        (
            "b/004.png,m/9.png,1,sick,1,validation,3",
            {"part": "part"},
            "'part' holds validation, expected train, val, test",
        ),
        ("b/004.png,m/9.png,1,sick,1,train,top", {"order": "z"}, "'z' holds top, expected numbers"),
    ],
)
def test_rows_that_say_nothing_are_named(row: str, settings: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        config(write(tmp_path, [*ROWS, row]), label="class", **settings).cohort("classification")


def test_empty_tables_and_unknown_formats_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cases\.csv.*: holds no case"):
        config(write(tmp_path, []), label="class").cohort("classification")
    (tmp_path / "cases.csv").write_text("scan,who,class\nnotes.txt,1,sick\n")
    with pytest.raises(DataError, match=r"notes\.txt: unknown kind of file"):
        config(tmp_path / "cases.csv", label="class").cohort("classification")


def test_shipped_manifest_names_the_slices_of_one_stack(shared_data: Path) -> None:
    settings = {"image": "image", "label": "label", "patient": "patient", "order": "position"}
    cohort = config(MANIFEST, root=str(shared_data / "isbi2012_em"), **settings).cohort("segmentation")
    assert [case.metadata["order"] for case in cohort.cases] == [str(number) for number in range(30)]
    assert {case.patient for case in cohort.cases} == {"stack-1"}


def test_chest_films_of_several_patients(shared_data: Path) -> None:
    root = shared_data / "nih_cxr14"
    settings = {"image": "image", "label": "label", "patient": "patient_id", "root": str(root / "images")}
    cohort = config(root / "labels.csv", **settings).cohort("classification")
    assert len(cohort.cases) == 657
    assert len({case.patient for case in cohort.cases}) == 444
    assert {case.label for case in cohort.cases} == {"pneumonia", "no_finding"}
