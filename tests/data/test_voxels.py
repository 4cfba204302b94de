"""What the voxels of a case tell: each fault named with its value, and no word about what is right."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from hilum.case import Case, ImageRef
from hilum.data.voxels import read_case
from hilum.errors import DataError, Finding
from hilum.problem import Problem

WriteCase = Callable[..., Case]
Arrays = dict[str, np.ndarray]


def volume() -> np.ndarray:
    return np.arange(480, dtype=np.float32).reshape(12, 10, 4)


def mask() -> np.ndarray:
    values = np.zeros((12, 10, 4), dtype=np.uint8)
    values[2:5, 3:6, 1:3] = 1
    values[-1, -1, -1] = 2
    return values


def found(
    folder: Path, problem: Problem, *, image: np.ndarray | None = None, label: np.ndarray | None = None
) -> Finding:
    """The one thing that is said of a case of these arrays."""
    for name, values in (
        ("a.nii", volume() if image is None else image),
        ("m.nii", mask() if label is None else label),
    ):
        nib.save(nib.Nifti1Image(values, np.eye(4)), folder / name)
    case = Case("a", "p", (ImageRef(folder / "a.nii"),), ImageRef(folder / "m.nii"))
    try:
        said = read_case(case, problem).findings
    except DataError as error:
        said = error.findings
    (finding,) = said
    assert finding.case == "a"
    assert finding.fix
    return finding


def with_voxel(value: float) -> np.ndarray:
    values = volume()
    values[1, 2, 3] = value
    return values


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite(segmentation: Problem, tmp_path: Path, value: float) -> None:
    finding = found(tmp_path, segmentation, image=with_voxel(value))
    assert (finding.severity, finding.kind, Path(finding.file).name) == ("error", "not finite", "a.nii")
    assert finding.received == "1 of 480 voxels NaN or infinite"


def test_a_constant_volume_is_an_error_and_a_constant_slice_a_warning(segmentation: Problem, tmp_path: Path) -> None:
    finding = found(tmp_path, segmentation, image=np.full((12, 10, 4), 7, np.int16))
    assert (finding.severity, finding.kind, finding.received) == ("error", "constant image", "7 in every voxel")
    flat = {"image": np.full((12, 10, 1), 7, np.int16), "label": mask()[:, :, 1:2]}
    assert found(tmp_path, segmentation, **flat).severity == "warning"


@pytest.mark.parametrize(("value", "fine"), [(0.99999997, True), (1.0009, True), (1.0011, False), (0.5, False)])
def test_labels_are_rounded_within_a_thousandth_only(
    segmentation: Problem, tmp_path: Path, value: float, fine: bool
) -> None:
    finding = found(tmp_path, segmentation, label=np.where(mask() == 1, value, mask()).astype(np.float64))
    assert (finding.severity, finding.kind) == (
        ("warning", "labels rounded") if fine else ("error", "not whole numbers")
    )
    assert "0.001" in finding.received + finding.expected
    assert "18 " in finding.received  # voxels of the box


def test_labels_without_a_class_are_told_with_the_classes(segmentation: Problem, tmp_path: Path) -> None:
    finding = found(tmp_path, segmentation, label=np.where(mask() == 2, 3, mask()).astype(np.uint8))
    assert finding.kind == "label values without a class"
    assert (finding.received, finding.expected) == ("label values [3]", "{background: 0, box: 1, dot: 2}")


def test_an_empty_mask_is_a_warning(segmentation: Problem, tmp_path: Path) -> None:
    finding = found(tmp_path, segmentation, label=np.zeros_like(mask()))
    assert (finding.severity, finding.kind) == ("warning", "empty mask")


def test_a_mask_of_which_all_is_ignored_is_empty(segmentation: Problem, tmp_path: Path) -> None:
    ignoring = replace(segmentation, classes=("background", "box"), values=((0,), (1,)), ignore=2)
    assert found(tmp_path, ignoring, label=np.full_like(mask(), 2)).kind == "empty mask"


def test_image_and_mask_swapped(segmentation: Problem, tmp_path: Path) -> None:
    assert found(tmp_path, segmentation, image=mask(), label=volume()).kind == "image and mask swapped"


def test_a_mask_as_its_image(segmentation: Problem, tmp_path: Path) -> None:
    finding = found(tmp_path, segmentation, image=mask())
    assert (finding.severity, finding.kind, finding.received) == (
        "warning",
        "image holds labels",
        "no values but [0, 1, 2]",
    )


def test_everything_wrong_with_a_case_is_told_at_once(segmentation: Problem, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(with_voxel(np.nan), np.eye(4)), tmp_path / "a.nii")
    nib.save(nib.Nifti1Image(mask() + np.uint8(2), np.eye(4)), tmp_path / "m.nii")
    with pytest.raises(DataError) as caught:
        read_case(Case("a", "p", (ImageRef(tmp_path / "a.nii"),), ImageRef(tmp_path / "m.nii")), segmentation)
    assert [finding.kind for finding in caught.value.findings] == ["not finite", "label values without a class"]


def test_a_sound_case_is_silent(write_case: WriteCase, segmentation: Problem) -> None:
    raw = read_case(write_case("a"), segmentation)
    assert raw.findings == ()
    assert raw.image.tensor.shape == (1, 12, 10, 8)
