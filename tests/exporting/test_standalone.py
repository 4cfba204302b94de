"""What is written beside the network: the runner, fed with it, gives hilum's own prediction from file to file."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from tests.exporting.conftest import DECISIONS, PREPARE, affine, classifier, deciding, problem, scan, segmenter

from hilum.case import Case, ImageRef
from hilum.errors import ConfigError
from hilum.exporting.decisions import AS_THEY_ARE, Decisions
from hilum.exporting.description import refuse_unknown
from hilum.exporting.network import DEFAULT_OPSET
from hilum.exporting.parity import CaseParity, compare_classes, compare_labels
from hilum.exporting.standalone import argument, prove_standalone, write_standalone
from hilum.formats.nifti import write_volume
from hilum.inference.postprocess.fill_holes import FillHolesConfig
from hilum.inference.postprocess.largest_component import LargestComponentConfig
from hilum.inference.postprocess.min_size import MinSizeConfig
from hilum.inference.predictor import Predictor
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.crop_foreground import CropForegroundConfig
from hilum.prepare.dataset_zscore import ChannelRange, DatasetZscoreConfig
from hilum.prepare.percentiles import PercentilesConfig
from hilum.prepare.resize import ResizeConfig
from hilum.prepare.window import WindowConfig
from hilum.problem import Problem

runner: Any = pytest.importorskip("hilum.exporting.runner")
onnxruntime: Any = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

SOURCE = {"hilum": "0", "run": "test", "weights_sha256": "0"}
STEPS = (
    LargestComponentConfig(of=("organ", "lesion")),
    MinSizeConfig(of=("lesion",), ml=0.1),
    FillHolesConfig(of=("organ",)),
)
REGIONS = Problem("segmentation", 3, ("image",), ("whole", "core"), ((1, 2), (2,)), exclusive=False)
FITTED = (ChannelRange(low=-300, high=500, mean=90, std=210),)
VARIANTS: dict[str, Predictor] = {
    "windows": segmenter(),
    "flips": segmenter(flips=((0,), (1, 2)), overlap=0.25, batch_size=4),
    "whole image": segmenter(window=None, multiple=4),
    "regions": segmenter(problem=REGIONS),
    "cropped": segmenter(prepare=[CropForegroundConfig(threshold=150.0, margin_voxels=1), *PREPARE]),
    "resized": segmenter(prepare=[ResizeConfig(size=(10, 12, 7)), DatasetZscoreConfig(fitted=FITTED)]),
    "post-processed": segmenter(postprocess=STEPS),
    "slices": segmenter(2, slice_axis=1, flips=((1,),)),
    "whole slices": segmenter(2, slice_axis=2, window=None, prepare=[CanonicalConfig(), PercentilesConfig()]),
    "class of a volume": classifier(3, flips=((0,),)),
    "class of slices": classifier(2, slice_axis=0, prepare=[*PREPARE[:2], WindowConfig(low=-200, high=400)]),
}


def written(subject: Predictor, folder: Path, decisions: Decisions = AS_THEY_ARE) -> tuple[Any, Any]:
    """The network and its description, as the runner has them."""
    write_standalone(subject, folder, opset=DEFAULT_OPSET, frames=[None], source=SOURCE, decisions=decisions)
    spec = json.loads((folder / "model.json").read_text())
    return onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"]), spec


def compared(
    subject: Predictor,
    folder: Path,
    names: list[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    decisions: Decisions = AS_THEY_ARE,
) -> CaseParity:
    """The answer of the runner in this process against hilum's."""
    network, spec = written(subject, folder, decisions)
    monkeypatch.syspath_prepend(folder)  # where a script finds what lies beside it
    for beside in ("postprocess", "decide"):
        sys.modules.pop(beside, None)
    found, first = runner.solved(names, network, spec)
    image = subject.read([ImageRef(Path(name)) if name else None for name in names])
    if subject.problem.kind == "classification":
        theirs = runner.import_module("decide").decided(found, spec)
        return compare_classes("case", image, theirs, predictor=subject, point=decisions.point)
    out = folder / "case.nii.gz"
    runner.write(runner.labelled(found, first, spec), out, first)
    runner.write(np.moveaxis(found, 0, -1), folder / "p.nii.gz", first)
    assert len(np.unique(np.asarray(nib.load(out).dataobj))) > 1  # type: ignore[attr-defined]
    return compare_labels("case", image, out, predictor=subject, probabilities=folder / "p.nii.gz")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_runner_answers_as_hilum_does(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = compared(VARIANTS[name], tmp_path, [str(scan(tmp_path / "scan.nii.gz"))], monkeypatch)
    assert found.same == 1
    assert found.difference is not None
    assert found.difference < 2e-5


@pytest.mark.parametrize("name", DECISIONS)
@pytest.mark.parametrize("dims", [2, 3])
def test_the_runner_decides_as_hilum_does(
    name: str, dims: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decisions = DECISIONS[name]
    subject = deciding(classifier(dims, slice_axis=0 if dims == 2 else None), decisions)
    found = compared(subject, tmp_path, [str(scan(tmp_path / "scan.nii.gz"))], monkeypatch, decisions=decisions)
    assert found.same == 1
    assert found.difference is not None
    assert found.difference < 2e-5


# Of a region that is all but certain float32 has no digits left for the doubt, of which a high temperature makes much.
@pytest.mark.parametrize(
    ("classes", "temperature"),
    [(problem("segmentation", 3), 0.5), (problem("segmentation", 3), 3.0), (REGIONS, 0.5), (REGIONS, 1.5)],
    ids=["sure classes", "unsure classes", "sure regions", "unsure regions"],
)
def test_the_runner_tempers_as_hilum_does(
    classes: Problem, temperature: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = replace(segmenter(problem=classes), temperature=temperature)
    decisions = Decisions(temperature)
    found = compared(subject, tmp_path, [str(scan(tmp_path / "scan.nii.gz"))], monkeypatch, decisions=decisions)
    assert found.same == 1
    assert found.difference is not None
    assert found.difference < 5e-5  # a temperature below 1 makes rounding larger


def test_missing_channels_are_empty_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = segmenter(channels=3, presence=True)
    names = [str(scan(tmp_path / f"{number}.nii.gz", seed=number)) for number in range(3)]
    found = compared(subject, tmp_path, [names[0], "", names[2]], monkeypatch)
    assert found.same == 1
    network, spec = written(segmenter(channels=3), tmp_path)
    with pytest.raises(ValueError, match="2 channels, the network takes 3"):
        runner.solved([names[0], "", names[2]], network, spec)


def test_headers_are_read_as_hilum_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Big-endian scaled integers in micrometres, with a qform only."""
    subject, file = segmenter(), tmp_path / "odd.nii"
    values = np.random.default_rng(3).integers(-400, 900, (9, 12, 10)).astype(">i2")
    image = nib.Nifti1Image(values, None, nib.Nifti1Header(endianness=">"))
    image.header.set_data_dtype(np.dtype(">i2"))
    image.header.set_qform(np.diag([1000, 1000, 1000, 1]) @ affine("PSR"), code=1)
    image.header.set_xyzt_units("micron")
    image.header["scl_slope"], image.header["scl_inter"] = 0.25, 7
    image.to_filename(file)
    found = compared(subject, tmp_path, [str(file)], monkeypatch)
    assert (found.same, found.lowest_dice) == (1, 1)
    before: Any = nib.load(file)
    after: Any = nib.load(tmp_path / "case.nii.gz")
    for field in ("qform_code", "sform_code", "pixdim", "xyzt_units", "quatern_b", "qoffset_x"):
        assert before.header[field].tobytes() == after.header[field].tobytes(), field


def test_the_proof_runs_without_hilum_and_gives_exit_codes(tmp_path: Path) -> None:
    """As a process of its own; a case that cannot be read fails alone."""
    subject = segmenter()
    (tmp_path / "out").mkdir()
    written(subject, tmp_path / "out")
    case = Case("one", "one", (ImageRef(scan(tmp_path / "a.nii.gz")),))
    (found,) = prove_standalone(subject, [case], folder=tmp_path / "out", scratch=tmp_path)
    assert found.same == 1
    assert found.difference is not None
    assert found.difference < 2e-5


def test_files_of_one_name_are_refused_and_bad_ones_fail_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "more").mkdir(parents=True)
    written(segmenter(), tmp_path / "out")
    monkeypatch.setattr(runner, "__file__", str(tmp_path / "out" / "run.py"))
    good, bad = scan(tmp_path / "in" / "good.nii.gz"), tmp_path / "in" / "bad.nii"
    write_volume(bad, np.full((4, 4, 4), np.nan, np.float32), np.eye(4))
    monkeypatch.setattr(sys, "argv", ["run.py", str(tmp_path / "in"), str(tmp_path / "labels")])
    assert runner.main() == 3
    assert "bad failed: lies on several grids, has NaN or infinite voxels" in capsys.readouterr().out
    assert [file.name for file in (tmp_path / "labels").iterdir()] == ["good.nii.gz"]
    (tmp_path / "in" / "more" / "good.nii.gz").write_bytes(good.read_bytes())
    with pytest.raises(SystemExit):
        runner.main()
    assert "two images have one name" in capsys.readouterr().err


def test_steps_that_no_runner_does_are_named() -> None:
    class Strange(CanonicalConfig, kind="strange_step"):
        """A step of a plugin."""

    try:
        with pytest.raises(
            ConfigError, match=r"data\.prepare 'strange_step': cannot be exported; the runner does canon"
        ):
            refuse_unknown(segmenter(prepare=[CanonicalConfig(), Strange()]))
    finally:
        from hilum import registry

        registry._REGISTRY["prepare"].pop("strange_step")


def test_a_case_becomes_an_argument() -> None:
    one, two = ImageRef(Path("/data/a.nii")), ImageRef(Path("/data/b.nii"))
    assert argument(Case("c", "c", (one,))) == "/data/a.nii"
    assert argument(Case("c", "c", (ImageRef(one.path, index=0), ImageRef(one.path, index=1)))) == "/data/a.nii"
    assert argument(Case("c", "c", (one, None, two))) == "/data/a.nii,,/data/b.nii"


def test_a_slice_is_no_volume(tmp_path: Path) -> None:
    network, spec = written(segmenter(), tmp_path)
    with pytest.raises(ValueError, match="one slice where volumes are wanted"):
        runner.solved([str(scan(tmp_path / "slice.nii.gz", shape=(14, 11, 1)))], network, spec)


def test_frames_of_a_series_are_taken_in_the_order_of_training(tmp_path: Path) -> None:
    subject = segmenter(problem=problem("segmentation", 3, channels=2), window=None)
    write_standalone(subject, tmp_path, opset=DEFAULT_OPSET, frames=[1, 0], source=SOURCE)
    spec = json.loads((tmp_path / "model.json").read_text())
    series = np.random.default_rng(0).normal(size=(8, 8, 8, 2)).astype(np.float32)
    nib.Nifti1Image(series, affine()).to_filename(tmp_path / "series.nii")
    values, _, _ = runner.read([str(tmp_path / "series.nii")], spec)
    expected = subject.read([ImageRef(tmp_path / "series.nii", index=index) for index in (1, 0)])
    assert torch.equal(torch.from_numpy(values), expected.tensor)
