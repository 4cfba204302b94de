"""One case through its stages: what comes of it, and what is its own failure and what that of the folder."""

from __future__ import annotations

import errno
import gc
import hashlib
import tracemalloc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
import pytest
import torch

from hilum.case import Case, ImageRef
from hilum.errors import OutputError
from hilum.formats.reading import read_image
from hilum.inference.predictor import Predictor
from hilum.pipeline.predicting.answering import Answer
from hilum.pipeline.predicting.case import Answered, Failure, Ready, Work, Written
from hilum.pipeline.predicting.folder import OutputFolder
from hilum.problem import Problem
from hilum.volume import Grid, Volume

PROBLEM = Problem("segmentation", 3, ("image",), ("background", "organ"), ((0,), (5,)))


class Bright:
    """Calls organ what is above zero; `fail` is called with the prepared image first."""

    problem = PROBLEM
    may_lack_channels = False

    def __init__(self, fail: Callable[[Volume], object] = lambda image: None) -> None:
        self.fail = fail

    def read(self, refs: list[ImageRef]) -> Volume:
        return read_image(refs)

    def prepared(self, image: Volume) -> Volume:
        return image

    def labels(self, prepared: Volume, source: Grid, *, visit: None, sureness: None, held_bytes: int) -> Volume:
        assert visit is None, "no probabilities are wanted"
        assert sureness is None, "without a fingerprint nothing is measured"
        assert not held_bytes
        self.fail(prepared)
        return Volume((prepared.tensor > 0).to(torch.uint8) * 5, source)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return save(tmp_path, "scan", (2.0, 2.0, 2.0))


def save(folder: Path, name: str, spacing: tuple[float, float, float], shape: tuple[int, ...] = (6, 5, 4)) -> Case:
    voxels = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    nib.save(nib.Nifti1Image(voxels, np.diag([*spacing, 1.0])), folder / f"{name}.nii.gz")
    return Case(name, "ann", (ImageRef(folder / f"{name}.nii.gz"),))


def work(folder: Path, **fail: Any) -> Work:
    (folder / "out").mkdir(exist_ok=True)
    return Work(cast(Predictor, Bright(**fail)), OutputFolder(folder / "out"), "setup")


def asked(task: Work, case: Case) -> Answered:
    ready = task.read(case)
    assert isinstance(ready, Ready), ready
    answered = task.ask(ready)
    assert isinstance(answered, Answered), answered
    return answered


def test_a_case_becomes_a_file_and_a_row(tmp_path: Path, case: Case) -> None:
    task = work(tmp_path)
    written = task.write(asked(task, case))
    assert isinstance(written, Written)
    image, out = nib.load(case.files[0].path), nib.load(tmp_path / "out" / "scan.nii.gz")
    assert isinstance(image, nib.Nifti1Image)
    assert isinstance(out, nib.Nifti1Image)
    expected = (np.asarray(image.dataobj) > 0) * 5
    assert np.array_equal(np.asarray(out.dataobj), expected)
    seconds = written.row.pop("seconds")
    assert isinstance(seconds, float)
    assert written.row == {
        "case_id": "scan",
        "patient_id": "ann",
        "status": "done",
        "output": "scan.nii.gz",
        "organ_ml": pytest.approx((expected == 5).sum() * 8 / 1000),
        "input_sha256": hashlib.sha256(case.files[0].path.read_bytes()).hexdigest(),
        "output_sha256": hashlib.sha256((tmp_path / "out" / "scan.nii.gz").read_bytes()).hexdigest(),
        "setup_sha256": "setup",
    }


def test_sizes_of_many_structures_take_no_mask_of_the_image_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_classes, shape = 60, (40, 40, 40)
    problem = Problem(
        "segmentation", 3, ("image",), tuple(f"s{n}" for n in range(num_classes)), tuple((n,) for n in range(60))
    )
    monkeypatch.setattr(Bright, "problem", problem)
    case, task = save(tmp_path, "ct", (2.0, 2.0, 2.0), shape), work(tmp_path)
    ready = task.read(case)
    assert isinstance(ready, Ready)
    labels = np.random.default_rng(2).integers(0, num_classes, shape).astype(np.uint8)
    answered = Answered(ready, Answer(torch.from_numpy(labels)), 0.0)
    tracemalloc.start()
    written = task.write(answered)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(written, Written)
    assert [written.row[f"s{n}_ml"] for n in range(1, num_classes)] == [
        pytest.approx(int((labels == n).sum()) * 8 / 1000) for n in range(1, num_classes)
    ]
    assert peak_bytes < num_classes / 2 * labels.nbytes


@pytest.mark.parametrize(
    ("spacing", "shape", "reason"),
    [
        ((400.0, 2.0, 2.0), (6, 5, 4), "impossible spacing: received 400 mm"),
        ((2.0, 2.0, 2.0), (6, 5, 1), "is a single slice"),
    ],
)
def test_what_is_no_such_image_is_a_failure(
    tmp_path: Path, spacing: tuple[float, float, float], shape: tuple[int, ...], reason: str
) -> None:
    failure = work(tmp_path).read(save(tmp_path, "odd", spacing, shape))
    assert isinstance(failure, Failure)
    assert reason in failure.reason
    assert failure.row["stage"] == "reading"


def test_a_volume_of_which_nothing_is_left_has_wrong_voxels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = save(tmp_path, "metres", (0.001, 0.001, 0.001), (20, 20, 20))
    tiny = Volume(torch.zeros(1, 1, 1, 1), Grid((1, 1, 1), np.eye(4)))
    monkeypatch.setattr(Bright, "prepared", lambda self, image: tiny)
    failure = work(tmp_path).read(case)
    assert isinstance(failure, Failure)
    assert "with voxels of 0.001 x 0.001 x 0.001 mm all of it is (1, 1, 1) voxels" in failure.reason


def test_a_file_that_changes_while_it_is_read_is_a_failure(
    tmp_path: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepared(self: Bright, image: Volume) -> Volume:
        save(tmp_path, "scan", (3.0, 3.0, 3.0))
        return image

    monkeypatch.setattr(Bright, "prepared", prepared)
    failure = work(tmp_path).read(case)
    assert isinstance(failure, Failure)
    assert "changed while they were read" in failure.reason


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("no room"),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8000000000 bytes"),
    ],
)
def test_a_case_that_exhausts_memory_lets_go_of_it(tmp_path: Path, case: Case, error: Exception) -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def fail(image: Volume) -> None:
        large = torch.zeros(1000)
        held.append(weakref.ref(large))
        raise type(error)(*error.args)

    task = work(tmp_path, fail=fail)
    ready = task.read(case)
    assert isinstance(ready, Ready)
    failure = task.ask(ready)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.reason) == ("predicting", f"out of memory: {error}")
    gc.collect()
    assert held[0]() is None


@pytest.mark.parametrize(
    ("number", "filename"), [(errno.ENOSPC, None), (errno.EDQUOT, None), (errno.EROFS, "out/.scan.nii.gz.1.part")]
)
def test_a_folder_that_fails_ends_the_batch(
    tmp_path: Path, case: Case, monkeypatch: pytest.MonkeyPatch, number: int, filename: str | None
) -> None:
    task = work(tmp_path)
    answered = asked(task, case)

    def fails(*_: object) -> None:
        raise OSError(number, "the disk", None if filename is None else str(tmp_path / filename))

    monkeypatch.setattr("hilum.pipeline.predicting.case.write_mask_like", fails)
    with pytest.raises(OutputError, match="cannot be written any more: the disk"):
        task.write(answered)


def test_a_name_that_cannot_be_a_file_is_a_failure_of_its_case(tmp_path: Path, case: Case) -> None:
    task = work(tmp_path)
    failure = task.write(asked(task, Case("x" * 300, "ann", case.images)))
    assert isinstance(failure, Failure)
    assert failure.stage == "writing"
    assert "File name too long" in failure.reason


def test_an_input_that_is_gone_when_its_mask_is_written_is_a_failure_of_its_case(tmp_path: Path, case: Case) -> None:
    task = work(tmp_path)
    answered = asked(task, case)
    case.files[0].path.unlink()
    failure = task.write(answered)
    assert isinstance(failure, Failure)
    assert failure.stage == "writing"
