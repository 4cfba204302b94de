"""Cases from a table: columns, cells, files and ids, each fault named at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from hilum.case import ImageRef
from hilum.errors import DataError, Finding
from hilum.formats.reading import read_header
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


def faults(source: CsvTableConfig, task: str) -> tuple[Finding, ...]:
    with pytest.raises(DataError) as caught:
        source.cohort(task)
    assert {finding.severity for finding in caught.value.findings} == {"error"}
    return caught.value.findings


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
    found = faults(config(write(tmp_path), image="scans", label="masks", patient="subject"), "segmentation")
    assert [(one.kind, one.expected) for one in found] == [
        ("missing column", f"a column '{column}'") for column in ("scans", "masks", "subject")
    ]
    assert [one.fix.partition("?")[0] for one in found[:2]] == ["did you mean 'scan'", "did you mean 'mask'"]


def test_all_missing_files_are_named_with_the_nearest(tmp_path: Path) -> None:
    rows = [f"a/{number}.png,m/{number}.png,1,sick,1,train,0" for number in range(8)]
    file = write(tmp_path, rows)
    for number in range(1, 8):
        (tmp_path / f"m/{number}.png").unlink()
    (tmp_path / "a/3.png").rename(tmp_path / "a/03.png")
    found = faults(config(file, label="mask"), "segmentation")
    assert {one.kind for one in found} == {"missing file"}
    missing = [*(f"m/{number}.png" for number in range(1, 8)), "a/3.png"]
    assert {one.file for one in found} == {str(tmp_path / name) for name in missing}
    assert {one.case: one.fix for one in found if "/a/" in one.file} == {"3": "did you mean '03.png'?"}


@pytest.mark.parametrize(
    ("row", "settings", "expected"),
    [
        ("b/001.png,m/9.png,1,sick,1,train,3", {}, ("duplicate id", "cases.csv", "2 cases of this id")),
        ("b/004.png,m/9.png,,sick,1,train,3", {}, ("empty cell", "cases.csv:5", "something in column 'who'")),
        ("b/004.png,m/9.png,1,,1,train,3", {}, ("empty cell", "cases.csv:5", "something in column 'class'")),
        (",m/9.png,1,sick,1,train,3", {}, ("empty cell", "cases.csv:5", "something in column 'scan'")),
        (
            "b/004.png,m/9.png,1,sick,1,validation,3",
            {"part": "part"},
            ("unknown part", "cases.csv:5", "'validation', expected train, val, test or nothing"),
        ),
        ("b/004.png,m/9.png,1,sick,1,train,top", {"order": "z"}, ("no number", "cases.csv:5", "'top'")),
        ("b/004.png,m/9.png,1,sick,1,train,nan", {"order": "z"}, ("no number", "cases.csv:5", "'nan'")),
        ("../b/004.png,m/9.png,1,sick,1,train,3", {}, ("path outside the root", "cases.csv:5", "'../b/004.png'")),
        ("b/../../x.png,m/9.png,1,sick,1,train,3", {}, ("path outside the root", "cases.csv:5", "'b/../../x.png'")),
        ("a/001.png,m/9.png,8,sick,1,train,3", {"id": "mask"}, ("one file, several patients", "a/001.png", "m/9.png")),
        ("b/004.png,b/004.png,1,sick,1,train,3", {"label": "mask"}, ("image is its own mask", "b/004.png", "004")),
        ("notes.txt,m/9.png,1,sick,1,train,3", {}, ("unknown format", "cases.csv:5", "hilum reads .nii")),
        ("b/004.png,m/9.png,1,sick,1,train,a/b", {"id": "z"}, ("unusable id", "cases.csv", "a/b")),
    ],
)
def test_each_fault_of_a_row_is_found(
    row: str, settings: dict[str, str], expected: tuple[str, str, str], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    file = write(tmp_path / "in", ROWS)
    for name in row.split(",")[:2]:
        if name and not name.startswith(".."):
            (file.parent / name).resolve().parent.mkdir(exist_ok=True)
            Image.fromarray(np.zeros((4, 5), dtype=np.uint8)).save(file.parent / name, format="PNG")
    file.write_text(file.read_text(encoding="utf-8-sig") + row + "\n")
    task = "segmentation" if settings.get("label") == "mask" else "classification"
    found = faults(config(file, **{"label": "class", **settings}), task)
    kind, place, words = expected
    matching = [one for one in found if one.kind == kind]
    assert matching, [str(one) for one in found]
    assert place in matching[0].file
    assert words in str(matching[0])


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        "b/003.png,m/004.png,8,,1,training,x",
        "../c/9.png,m/005.png,,sick,1,test,5",
        "b/6.foo,m/6.png,9,well,,,1",
    ]
    file = write(tmp_path, ROWS)
    file.write_text(COLUMNS + "\n".join(rows) + "\n")
    found = faults(config(file, label="class", part="part", order="z"), "classification")
    assert {(one.kind, one.file.rpartition(":")[2] if ":" in one.file else "") for one in found} == {
        ("empty cell", "5"),
        ("empty cell", "6"),
        ("unknown part", "5"),
        ("no number", "5"),
        ("path outside the root", "6"),
        ("unknown format", "7"),
        ("duplicate id", ""),
        ("one file, several patients", ""),
        ("missing file", ""),
    }


def test_absolute_paths_and_links_may_lead_anywhere(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    write(tmp_path / "far", ["a/1.png,m/1.png,1,sick,1,train,0", "b/2.png,m/2.png,1,sick,1,train,0"])
    (tmp_path / "near" / "link").symlink_to(tmp_path / "far" / "b")
    file = tmp_path / "near" / "cases.csv"
    file.write_text(f"scan,who,class\n{tmp_path}/far/a/1.png,1,sick\nlink/2.png,1,well\n")
    cohort = config(file, label="class", root=str(tmp_path / "near")).cohort("classification")
    assert [case.files[0].path for case in cohort.cases] == [tmp_path / "far/a/1.png", tmp_path / "near/link/2.png"]


def test_links_in_a_circle_are_named(tmp_path: Path) -> None:
    file = write(tmp_path)
    (tmp_path / "a/001.png").unlink()
    (tmp_path / "a/001.png").symlink_to(tmp_path / "a/ring.png")
    (tmp_path / "a/ring.png").symlink_to(tmp_path / "a/001.png")
    (tmp_path / "a/002.png").unlink()
    (tmp_path / "a/002.png").symlink_to(tmp_path / "nowhere.png")
    found = faults(config(file, label="class"), "classification")
    assert [(one.case, one.kind) for one in found] == [("001", "missing file"), ("002", "missing file")]
    assert "leads back to itself" in found[0].received
    assert "nowhere.png, which does not exist" in found[1].received


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_an_empty_cell_is_a_missing_modality(suffix: str, tmp_path: Path) -> None:
    import pyarrow as pa

    write(tmp_path)
    table = pa.table({"t1": ["a/001.png", None, "b/003.png"], "t2": ["m/001.png", "m/002.png", None], "who": [7, 8, 8]})
    file = save_table(table, tmp_path / f"cases{suffix}")
    settings = {"image": {"T1": "t1", "T2": "t2"}, "label": None}
    cohort = config(file, **settings).cohort("segmentation")
    assert cohort.channels == ("T1", "T2")
    assert [case.missing for case in cohort.cases] == [(), (0,), (1,)]
    assert [case.id for case in cohort.cases] == ["001", "002", "003"]
    assert [case.patient for case in cohort.cases] == ["7", "8", "8"]
    empty = table.set_column(1, "t2", pa.array(["m/001.png", None, None]))
    found = faults(config(save_table(empty, file), **settings), "segmentation")
    assert [(one.kind, one.case) for one in found] == [("no image", "line 2" if suffix == ".parquet" else "line 3")]


def save_table(table: Any, file: Path) -> Path:
    import pyarrow.parquet as pq

    if file.suffix == ".parquet":
        pq.write_table(table, file)
    else:
        separator = "\t" if file.suffix == ".tsv" else ","
        rows = [[("" if cell is None else str(cell)) for cell in row.values()] for row in table.to_pylist()]
        file.write_text("\n".join(separator.join(row) for row in [table.column_names, *rows]) + "\n")
    return file


def test_channels_cannot_share_a_column(tmp_path: Path) -> None:
    found = faults(config(write(tmp_path), image={"a": "scan", "b": "scan"}, label="class"), "classification")
    assert {one.kind for one in found} == {"one file, several channels"}
    with pytest.raises(ValidationError, match="at least one channel"):
        config(tmp_path / "cases.csv", image={})


def test_ids_that_look_alike_are_warned_about(tmp_path: Path) -> None:
    rows = [
        "a/hip_1.png,m/1.png,P 07,sick,1,train,0",
        "a/hip_001.png,m/2.png,p7,sick,1,train,0",
        "a/x.png,m/3.png,9,well,,,",
    ]
    cohort = config(write(tmp_path, rows), label="class").cohort("classification")
    assert [(one.severity, one.kind, one.received) for one in cohort.findings] == [
        ("warning", "similar case ids", "'hip_001', 'hip_1'"),
        ("warning", "similar patient ids", "'P 07', 'p7'"),
    ]


def test_folders_of_slices_are_images(tmp_path: Path, shared_data: Path) -> None:
    series = shared_data / "dicom" / "hippocampus_crop_series"
    (tmp_path / "cases.csv").write_text(f"scan,who,class\n{series},1,sick\n")
    cohort = config(tmp_path / "cases.csv", label="class").cohort("classification")
    assert cohort.cases[0].id == "hippocampus_crop_series"
    assert read_header(cohort.cases[0].files[0]).grid.shape[2] > 1


def test_an_empty_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cases\.csv: no case: expected at least one"):
        config(write(tmp_path, []), label="class").cohort("classification")


def test_patients_that_a_table_lacks_are_named(tmp_path: Path) -> None:
    file = write(tmp_path)
    (tmp_path / "whose.csv").write_text("case_id,patient_id\n001,x\n2,x\n003,y\n")
    found = faults(config(file, label="class", patient=None, patients={"table": "whose.csv"}), "classification")
    assert [one.received for one in found] == ["whose.csv names no patient for 1 of 3 cases: 002"]


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
