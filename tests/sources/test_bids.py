"""BIDS: participants are patients, sessions and runs are cases, masks lie in derivatives, tables tell classes."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.sources.trees import text, volume

from hilum.case import Case, Cohort, ImageRef
from hilum.errors import DataError
from hilum.registry import parse
from hilum.sources.bids import BidsConfig

PEOPLE = "participant_id\tage\tsex\tdiagnosis\nsub-01\t61\tF\tsick\nsub-02\tn/a\tM\twell\nsub-10\t70\tM\tn/a\n"
MASKS = {"derivative": "lesions", "desc": "lesion"}


def write(root: Path, *names: str, people: str | None = PEOPLE) -> Path:
    """Images by the rest of their paths under the folder of their participant (and session)."""
    for name in names:
        *outer, last = name.split("/")
        entities = dict(part.split("-", 1) for part in last.split("_")[:-1])
        inner = [f"sub-{entities['sub']}", *([f"ses-{entities['ses']}"] if "ses" in entities else []), "anat"]
        volume(root.joinpath(*outer, *inner, f"{last}.nii.gz"))
    if people is not None:
        text(root / "participants.tsv", people)
    return root


def config(root: Path, **settings: Any) -> BidsConfig:
    image = {} if {"suffix", "channels"} & settings.keys() else {"suffix": "T1w"}
    found = parse("sources", {"kind": "bids", "root": str(root), **image, **settings})
    assert isinstance(found, BidsConfig)
    return found


def faults(source: BidsConfig, task: str = "segmentation") -> list[tuple[str, str, str]]:
    with pytest.raises(DataError) as caught:
        source.cohort(task)
    return [(one.kind, one.case or Path(one.file).name, one.received) for one in caught.value.findings]


def warnings(cohort: Cohort) -> list[tuple[str, str]]:
    assert {finding.severity for finding in cohort.findings} <= {"warning"}
    return [(finding.kind, finding.case or Path(finding.file).name) for finding in cohort.findings]


def names(case: Case) -> list[str | None]:
    return [ref.path.name.removesuffix(".nii.gz") if ref else None for ref in case.images]


def test_participants_are_patients_and_columns_are_classes(tmp_path: Path) -> None:
    write(tmp_path, "sub-02_T1w", "sub-01_T1w", "sub-01_T2w")
    cohort = config(tmp_path, label="diagnosis").cohort("classification")
    assert [(case.id, case.patient, case.label) for case in cohort.cases] == [
        ("sub-01", "sub-01", "sick"),
        ("sub-02", "sub-02", "well"),
    ]
    assert [dict(case.metadata) for case in cohort.cases] == [{"age": "61", "sex": "F"}, {"age": "", "sex": "M"}]
    assert cohort.cases[0].files == (ImageRef(tmp_path / "sub-01/anat/sub-01_T1w.nii.gz"),)
    assert (cohort.channels, cohort.notes) == (("image",), ())
    assert warnings(cohort) == [("participant without images", "sub-10")]


def test_participants_without_a_class_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "sub-01_T1w", "sub-02_T1w", "sub-10_T1w", "sub-11_T1w")
    cohort = config(tmp_path, label="diagnosis").cohort("classification")
    assert [case.id for case in cohort.cases] == ["sub-01", "sub-02"]
    assert warnings(cohort) == [
        ("no class", "sub-10"),
        ("no class", "sub-11"),
        ("participant without row", "sub-11"),
    ]


def test_sessions_and_runs_are_cases(tmp_path: Path) -> None:
    write(tmp_path, "sub-01_ses-1_T1w", "sub-01_ses-10_T1w", "sub-01_ses-2_run-1_T1w", "sub-01_ses-2_run-2_T1w")
    text(tmp_path / "sub-01/sub-01_sessions.tsv", "session_id\tage\tstage\nses-1\t61\tearly\nses-2\tn/a\tlate\n")
    cohort = config(tmp_path, label="stage").cohort("classification")
    assert [(case.id, case.patient, case.label) for case in cohort.cases] == [
        ("sub-01_ses-1", "sub-01", "early"),
        ("sub-01_ses-2_run-1", "sub-01", "late"),
        ("sub-01_ses-2_run-2", "sub-01", "late"),
    ]
    assert dict(cohort.cases[0].metadata) == {"age": "61", "sex": "F", "diagnosis": "sick", "session": "ses-1"}
    assert dict(cohort.cases[1].metadata)["age"] == ""
    assert ("no class", "sub-01_ses-10") in warnings(cohort)


def test_masks_lie_in_derivatives(tmp_path: Path) -> None:
    write(tmp_path, "sub-01_T1w", "sub-02_ses-a_T1w", "sub-03_T1w", people=None)
    write(
        tmp_path / "derivatives/lesions",
        "sub-01_space-T1w_desc-lesion_mask",
        "sub-01_space-T1w_desc-brain_mask",
        "sub-02_ses-a_desc-lesion_mask",
        people=None,
    )
    cohort = config(tmp_path, label=MASKS).cohort("segmentation")
    folder = tmp_path / "derivatives/lesions"
    assert [(case.id, case.label) for case in cohort.cases] == [
        ("sub-01", ImageRef(folder / "sub-01/anat/sub-01_space-T1w_desc-lesion_mask.nii.gz")),
        ("sub-02_ses-a", ImageRef(folder / "sub-02/ses-a/anat/sub-02_ses-a_desc-lesion_mask.nii.gz")),
    ]
    assert warnings(cohort) == [("no mask", "sub-03")]


def test_masks_by_other_entities_and_among_the_images(tmp_path: Path) -> None:
    write(tmp_path, "sub-01_T1w", "sub-01_label-GM_dseg", "sub-01_label-WM_dseg")
    label = {"suffix": "dseg", "entities": {"label": "WM"}}
    (case,) = config(tmp_path, label=label).cohort("segmentation").cases
    assert case.label == ImageRef(tmp_path / "sub-01/anat/sub-01_label-WM_dseg.nii.gz")
    assert faults(config(tmp_path, label={"suffix": "dseg"})) == [
        ("ambiguous image", "sub-01", "sub-01_label-GM_dseg.nii.gz, sub-01_label-WM_dseg.nii.gz")
    ]


def test_channels_are_suffixes_and_may_be_missing(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sub-01_T1w",
        "sub-01_acq-hires_T1w",
        "sub-01_FLAIR",
        "sub-02_acq-hires_T1w",
        "sub-10_FLAIR",
    )
    cohort = config(tmp_path, channels={"t1": "T1w", "fine": "acq-hires_T1w", "flair": "FLAIR"}).cohort("segmentation")
    assert cohort.channels == ("t1", "fine", "flair")
    assert [names(case) for case in cohort.cases[2:]] == [[None, None, "sub-10_FLAIR"]]
    assert names(cohort.cases[0]) == ["sub-01_T1w", "sub-01_acq-hires_T1w", "sub-01_FLAIR"]


def test_what_a_suffix_means_where_entities_are_left_open(tmp_path: Path) -> None:
    write(tmp_path, "sub-01_acq-a_T1w", "sub-02_acq-a_T1w", "sub-02_acq-b_T1w", "sub-10_T1w", "sub-10_acq-a_T1w")
    assert faults(config(tmp_path)) == [
        ("ambiguous image", "sub-02", "sub-02_acq-a_T1w.nii.gz, sub-02_acq-b_T1w.nii.gz")
    ]
    (tmp_path / "sub-02/anat/sub-02_acq-b_T1w.nii.gz").unlink()
    cohort = config(tmp_path).cohort("segmentation")
    assert [names(case) for case in cohort.cases] == [["sub-01_acq-a_T1w"], ["sub-02_acq-a_T1w"], ["sub-10_T1w"]]


def test_an_image_without_run_belongs_to_all_runs(tmp_path: Path) -> None:
    write(tmp_path, "sub-01_run-1_T1w", "sub-01_run-2_T1w", "sub-01_FLAIR", "sub-02_T1w", "sub-02_run-2_T1w")
    cohort = config(tmp_path, channels={"t1": "T1w", "flair": "FLAIR"}).cohort("segmentation")
    assert [(case.id, names(case)) for case in cohort.cases] == [
        ("sub-01_run-1", ["sub-01_run-1_T1w", "sub-01_FLAIR"]),
        ("sub-01_run-2", ["sub-01_run-2_T1w", "sub-01_FLAIR"]),
        ("sub-02", ["sub-02_T1w", None]),
        ("sub-02_run-2", ["sub-02_run-2_T1w", None]),
    ]


def test_names_that_do_not_follow_are_named(tmp_path: Path) -> None:
    write(tmp_path, "sub-01_T1w", "sub-02_T1w")
    volume(tmp_path / "sub-02/anat/brain.nii.gz")
    assert ("no BIDS name", "brain.nii.gz") in warnings(config(tmp_path).cohort("segmentation"))
    volume(tmp_path / "sub-02/anat/sub-01_T1w.nii.gz")
    volume(tmp_path / "sub-02/ses-1/anat/sub-02_T1w.nii.gz")
    assert [(kind, name) for kind, name, _ in faults(config(tmp_path))] == [
        ("wrong folder", "sub-01_T1w.nii.gz"),
        ("wrong folder", "sub-02_T1w.nii.gz"),
    ]


@pytest.mark.parametrize(
    ("settings", "task", "message"),
    [
        ({"label": "diagnosiss"}, "classification", r"expected a column 'diagnosiss'; did you mean 'diagnosis'\?"),
        ({"label": "diagnosis"}, "segmentation", "label is a column, expected masks"),
        ({"label": MASKS}, "classification", "label names masks, expected a column"),
        ({"label": {"derivative": "lesion"}}, "segmentation", r"did you mean 'lesions'\? there are lesions"),
        ({"suffix": "T2w"}, "segmentation", "no image of T2w; the suffixes are T1w"),
        ({"datatype": "dwi"}, "segmentation", r"no images in sub-\*/dwi"),
        ({"root": "nowhere"}, "segmentation", "nowhere: no such folder"),
    ],
)
def test_what_is_not_there_is_named(settings: dict[str, Any], task: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, "sub-01_T1w")
    write(tmp_path / "derivatives/lesions", "sub-01_desc-lesion_mask", people=None)
    source = config(**{"root": tmp_path, **settings})
    with pytest.raises(DataError, match=message):
        source.cohort(task)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("participant\tage\nsub-01\t1\n", "expected a column 'participant_id'"),
        ("participant_id\tage\nsub-01\t1\nsub-01\t2\n", "participant_id has to be unique, .* sub-01"),
    ],
)
def test_faults_of_tables_are_named(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        config(write(tmp_path, "sub-01_T1w", people=content)).cohort("segmentation")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"suffix": None}, r"either suffix, such as T1w, or channels.*received neither"),
        ({"suffix": "T1w", "channels": {"a": "T1w"}}, "received both"),
        ({"channels": {}}, "at least 1"),
        ({"suffix": "T1w.nii"}, "a BIDS suffix"),
        ({"suffix": "hires_T1w"}, "a BIDS suffix"),
        ({"suffix": "run-1_T1w"}, "entities other than sub, ses and run"),
        ({"label": {"derivatives": "x"}}, "did you mean 'derivative'"),
    ],
)
def test_settings_that_say_nothing_are_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=message):
        config(tmp_path, **settings)
