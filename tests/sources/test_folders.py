"""Folders: a class a folder, images and masks side by side, a folder a case; and everything that does not match."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.sources.trees import mask, picture, text, volume

from hilum.case import Case, Cohort, ImageRef
from hilum.errors import DataError, Finding
from hilum.formats.reading import read_image
from hilum.registry import parse
from hilum.sources.folders import FoldersConfig
from hilum.sources.patients import UNKNOWN


def config(root: Path, **settings: Any) -> FoldersConfig:
    found = parse("sources", {"kind": "folders", "root": str(root), "patients": {"each_case": True}, **settings})
    assert isinstance(found, FoldersConfig)
    return found


def faults(source: FoldersConfig, task: str = "segmentation") -> tuple[Finding, ...]:
    with pytest.raises(DataError) as caught:
        source.cohort(task)
    return caught.value.findings


def warnings(cohort: Cohort) -> list[tuple[str, str]]:
    assert {finding.severity for finding in cohort.findings} <= {"warning"}
    return [(finding.kind, Path(finding.file).name) for finding in cohort.findings]


def shown(case: Case) -> tuple[str, object, str | None]:
    return case.id, case.label, case.part


def test_a_folder_is_a_class(tmp_path: Path) -> None:
    for name in ("sick/10.png", "sick/2.png", "well/deeper/a.png", "well/b.jpg", "well/.hidden.png", "well/notes.txt"):
        picture(tmp_path / name) if name.endswith(("png", "jpg")) else text(tmp_path / name, "")
    cohort = config(tmp_path).cohort("classification")
    assert [shown(case) for case in cohort.cases] == [
        ("sick_2", "sick", None),
        ("sick_10", "sick", None),
        ("well_b", "well", None),
        ("well_deeper_a", "well", None),
    ]
    assert cohort.cases[3].files == (ImageRef(tmp_path / "well/deeper/a.png"),)
    assert (cohort.channels, cohort.notes, cohort.findings) == (("image",), (UNKNOWN,), ())


def test_pictures_of_a_format_that_is_not_read_are_named(tmp_path: Path) -> None:
    for name in ("sick/1.png", "sick/2.webp", "well/1.png", "well/deeper/2.GIF"):
        picture(tmp_path / name) if name.endswith("png") else text(tmp_path / name, "")
    cohort = config(tmp_path).cohort("classification")
    assert [case.id for case in cohort.cases] == ["sick_1", "well_1"]
    assert warnings(cohort) == [("other file", "2.webp"), ("other file", "2.GIF")]
    for name in ("images/a.png", "images/b.webp", "masks/a.png"):
        picture(tmp_path / "pairs" / name) if name.endswith("png") else text(tmp_path / "pairs" / name, "")
    assert warnings(config(tmp_path / "pairs").cohort("segmentation")) == [("other file", "b.webp")]


def test_folders_of_parts_hold_folders_of_classes(tmp_path: Path) -> None:
    for part in ("train", "Validation", "test"):
        for name in ("sick", "well"):
            picture(tmp_path / part / name / "1.png")
    cohort = config(tmp_path, patients={"regex": "^(train|Validation|test)"}).cohort("classification")
    assert {shown(case) for case in cohort.cases} == {
        (f"{folder}_{label}_1", label, part)
        for folder, part in (("train", "train"), ("Validation", "val"), ("test", "test"))
        for label in ("sick", "well")
    }
    assert {case.patient for case in cohort.cases} == {"train", "Validation", "test"}


def test_images_without_a_class_and_parts_beside_classes_are_named(tmp_path: Path) -> None:
    picture(tmp_path / "sick/1.png")
    picture(tmp_path / "lost.png")
    picture(tmp_path / "train/well/1.png")
    found = faults(config(tmp_path), "classification")
    assert [one.kind for one in found] == ["parts beside classes"]
    (tmp_path / "train/well/1.png").unlink()
    (tmp_path / "train/well").rmdir()
    (tmp_path / "train").rmdir()
    found = faults(config(tmp_path), "classification")
    assert [(one.kind, Path(one.file).name) for one in found] == [("no class", "lost.png")]


@pytest.mark.parametrize("parts", [(), ("train", "test")])
def test_images_beside_masks(parts: tuple[str, ...], tmp_path: Path) -> None:
    for outer in [tmp_path / part for part in parts] or [tmp_path]:
        for name, drawn in [("a", "a"), ("b", "b_mask"), ("c_image", "seg-c"), ("site/d", "site/d_GT")]:
            picture(outer / f"images/{name}.png")
            mask(outer / f"masks/{drawn}.png", 0, 1)
    cohort = config(tmp_path).cohort("segmentation")
    found = {case.id: (case.files[0].path, case.label, case.part) for case in cohort.cases}
    expected = {}
    for part in parts or ("",):
        for case_id, name, drawn in [
            ("a", "a", "a"),
            ("b", "b", "b_mask"),
            ("c_image", "c_image", "seg-c"),
            ("site_d", "site/d", "site/d_GT"),
        ]:
            outer = tmp_path / part
            expected[f"{part}_{case_id}" if part else case_id] = (
                outer / f"images/{name}.png",
                ImageRef(outer / f"masks/{drawn}.png"),
                part or None,
            )
    assert found == expected
    assert cohort.findings == ()


def test_parts_may_lie_inside_images_and_masks(tmp_path: Path) -> None:
    for part in ("train", "val"):
        picture(tmp_path / "img" / part / "1.png")
        mask(tmp_path / "gt" / part / "1.png", 0, 1)
    cohort = config(tmp_path, images="img", masks="gt").cohort("segmentation")
    assert [(case.id, case.part) for case in cohort.cases] == [("train_1", "train"), ("val_1", "val")]


def test_names_that_do_not_match_are_named_with_the_nearest(tmp_path: Path) -> None:
    for name in ("scan_01", "scan_02", "scan_03", "lone"):
        picture(tmp_path / f"images/{name}.png")
    for name in ("scan_01", "scan_2", "scan_03_mask", "scan_03_seg"):
        mask(tmp_path / f"masks/{name}.png", 0, 1)
    found = faults(config(tmp_path))
    assert [(one.kind, Path(one.file).name) for one in found] == [
        ("several masks", "scan_03.png"),
        ("mask without image", "scan_2.png"),
    ]
    assert found[0].received == "scan_03_mask.png, scan_03_seg.png"
    assert "the nearest is scan_02.png" in found[1].received
    for name in ("scan_2", "scan_03_seg"):
        (tmp_path / f"masks/{name}.png").unlink()
    cohort = config(tmp_path).cohort("segmentation")
    assert [case.id for case in cohort.cases] == ["scan_01", "scan_03"]
    assert warnings(cohort) == [("no mask", "lone.png"), ("no mask", "scan_02.png")]


def test_a_name_as_it_is_wins_over_one_with_words(tmp_path: Path) -> None:
    for name in ("a", "a_seg"):
        picture(tmp_path / f"images/{name}.png")
        mask(tmp_path / f"masks/{name}.png", 0, 1)
    cohort = config(tmp_path).cohort("segmentation")
    assert [(case.id, case.label) for case in cohort.cases] == [
        (name, ImageRef(tmp_path / f"masks/{name}.png")) for name in ("a", "a_seg")
    ]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("images/a.png", "images/a.jpg", "masks/a.png"):
        picture(tmp_path / name)
    assert [one.kind for one in faults(config(tmp_path))] == ["same name"]


def test_without_any_match_nothing_is_left(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    (tmp_path / "masks").mkdir()
    found = faults(config(tmp_path))
    assert [(one.severity, one.kind) for one in found] == [("error", "no case"), ("warning", "no mask")]


@pytest.mark.parametrize(
    ("present", "settings", "message"),
    [
        (["image/a.png"], {}, r"no folder 'images' \(setting images\); did you mean 'image'\? there are image$"),
        (["images/a.png", "label/a.png"], {}, r"no folder 'masks' \(setting masks\) beside 'images'; there are"),
        (["images/a.png"], {"channels": {"x": "*"}, "label": "*"}, "channels and label are for masks"),
    ],
)
def test_folders_that_are_not_there_are_named(
    present: list[str], settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    for name in present:
        picture(tmp_path / name)
    with pytest.raises(DataError, match=message):
        config(tmp_path, **settings).cohort("classification" if settings else "segmentation")


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none: no such folder"):
        config(tmp_path / "none").cohort("classification")
    with pytest.raises(DataError, match="a folder for each class"):
        config(tmp_path).cohort("classification")


CHANNELS = {"channels": {"flair": "Flair*", "t1": "T1*"}, "label": "*truth*"}


def test_a_folder_is_a_case(tmp_path: Path) -> None:
    for case in ("HGG/p1", "HGG/p2", "train/p3"):
        for name in ("Flair_x.nii.gz", "T1_x.nii.gz", "the_truth.nii.gz", "brain.nii.gz"):
            volume(tmp_path / case / name)
        text(tmp_path / case / "T1_licence.txt", "")
    (tmp_path / "HGG/p2/T1_x.nii.gz").unlink()
    cohort = config(tmp_path, **CHANNELS).cohort("segmentation")
    assert [case.id for case in cohort.cases] == ["HGG_p1", "HGG_p2", "train_p3"]
    assert [case.part for case in cohort.cases] == [None, None, "train"]
    assert [dict(case.metadata) for case in cohort.cases] == [{"folder": "HGG"}, {"folder": "HGG"}, {"folder": "train"}]
    assert cohort.channels == ("flair", "t1")
    first, second, _ = cohort.cases
    folder = tmp_path / "HGG/p1"
    assert first.images == (ImageRef(folder / "Flair_x.nii.gz"), ImageRef(folder / "T1_x.nii.gz"))
    assert first.label == ImageRef(folder / "the_truth.nii.gz")
    assert second.missing == (1,)
    assert cohort.findings == ()


def test_case_folders_that_do_not_match_are_named(tmp_path: Path) -> None:
    for case in ("p1", "p2", "p3", "p4"):
        for name in ("Flair.nii.gz", "T1.nii.gz", "truth.nii.gz"):
            volume(tmp_path / case / name)
    (tmp_path / "p2/truth.nii.gz").unlink()
    for name in ("Flair", "T1"):
        (tmp_path / f"p3/{name}.nii.gz").rename(tmp_path / f"p3/other_{name}.nii.gz")
    cohort = config(tmp_path, **CHANNELS).cohort("segmentation")
    assert [case.id for case in cohort.cases] == ["p1", "p4"]
    assert warnings(cohort) == [("no mask", "p2"), ("no channel", "p3")]
    volume(tmp_path / "p4/T1_again.nii.gz")
    found = faults(config(tmp_path, **CHANNELS))
    assert [(one.kind, one.case, one.received) for one in found] == [
        ("ambiguous pattern", "p4", "T1.nii.gz, T1_again.nii.gz")
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": {"a": "*"}}, "channels and label together"),
        ({"label": "*"}, "channels and label together"),
        ({"channels": {}, "label": "*"}, "at least one channel"),
        ({**CHANNELS, "masks": "m"}, "either channels and label, or images and masks"),
        ({"channels": {"a": "../*"}, "label": "*"}, "patterns of files inside the case's folder"),
        ({"channels": {"a": "/x"}, "label": "*"}, "patterns of files inside the case's folder"),
        ({"patients": None}, "patients"),
    ],
)
def test_settings_that_do_not_fit_together(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=message):
        config(tmp_path, **settings)


def test_circles_of_links_end(tmp_path: Path) -> None:
    picture(tmp_path / "sick/1.png")
    picture(tmp_path / "far/2.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/well").symlink_to(tmp_path / "far")
    (tmp_path / "data/sick").symlink_to(tmp_path / "sick")
    (tmp_path / "sick/again").symlink_to(tmp_path / "sick")
    cohort = config(tmp_path / "data").cohort("classification")
    assert [(case.id, case.label) for case in cohort.cases] == [("sick_1", "sick"), ("well_2", "well")]
    (tmp_path / "far/loop.png").symlink_to(tmp_path / "far/loop.png")
    found = faults(config(tmp_path / "data"), "classification")
    assert [(one.kind, Path(one.file).name) for one in found] == [("missing file", "loop.png")]


def test_a_folder_of_slices_is_one_image(tmp_path: Path, shared_data: Path) -> None:
    for label in ("one", "two"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "scan").symlink_to(shared_data / "dicom" / "hippocampus_crop_series")
    cohort = config(tmp_path).cohort("classification")
    assert [(case.id, case.label) for case in cohort.cases] == [("one_scan", "one"), ("two_scan", "two")]


def test_membranes_are_slices_of_one_stack(shared_data: Path) -> None:
    root = shared_data / "isbi2012_em"
    settings = {"images": "image", "masks": "label", "patients": {"one": "larva"}}
    cohort = config(root, **settings).cohort("segmentation")
    assert [case.id for case in cohort.cases] == [f"train_{number}" for number in range(30)]
    assert {(case.patient, case.part) for case in cohort.cases} == {("larva", "train")}
    assert all(
        isinstance(case.label, ImageRef) and case.label.path.name == case.files[0].path.name for case in cohort.cases
    )


def test_tumours_lie_in_a_folder_a_case(shared_data: Path) -> None:
    settings = {"channels": {"flair": "Flair*", "t1c": "T1c*"}, "label": "OT*"}
    cohort = config(shared_data / "brats2015", patients={"regex": r"(pat\d+)"}, **settings).cohort("segmentation")
    assert [(case.id, case.patient) for case in cohort.cases] == [
        ("brats_2013_pat0001_1", "pat0001"),
        ("brats_2013_pat0002_1", "pat0002"),
    ]
    assert read_image(cohort.cases[0].files).tensor.shape == (2, 240, 240, 155)
