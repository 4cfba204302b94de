"""Exporting: a network that needs no hilum, proved before it appears; and a bundle that MONAI's own runner executes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.journeys.conftest import Hilum, nifti, parts, read_json

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ALONE = """\
import runpy, sys
sys.modules.update(dict.fromkeys(("hilum", "torch", "scipy", "monai")))  # importing one of them fails
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])  # as Python itself does for a script
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script where only what it needs can be imported."""


@pytest.fixture(scope="module")
def exported(hilum: Hilum, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run as ONNX."""
    folder = tmp_path_factory.mktemp("export") / "onnx"
    done = hilum("export", trained, folder)
    assert done.code == 0, done.text
    assert "compared with hilum on validation cases of the run" in done.out
    return folder


def test_the_export_is_complete_and_its_parity_is_kept(exported: Path, trained: Path) -> None:
    files = ["decide.py", "model.json", "model.onnx", "parity.json", "run.py"]
    assert sorted(file.name for file in exported.iterdir()) == files
    parity = read_json(exported / "parity.json")
    assert {case["case"] for case in parity["cases"]} <= parts(trained)["val"]
    assert parity["least_agreement"] >= 0.999
    assert parity["largest_probability_difference"] < 1e-4
    described = read_json(exported / "model.json")
    assert [step["kind"] for step in described["prepare"]] == ["canonical", "spacing", "zscore"]
    assert described["windows"]["size"] == [16, 16, 16]
    assert described["class_values"] == [[0], [1], [2]]
    assert list(exported.parent.iterdir()) == [exported]


def test_the_runner_alone_writes_what_predict_writes(
    exported: Path, hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path
) -> None:
    """In a process that cannot import hilum, torch or SciPy, from another folder, on scans of the test part."""
    images = tmp_path / "images"
    images.mkdir()
    chosen = sorted(parts(trained)["test"])[:2]
    for name in chosen:
        shutil.copy(phantoms / "images" / f"{name}.nii.gz", images)
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", ALONE, str(exported / "run.py"), str(images), str(tmp_path / "theirs")]
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert hilum("predict", trained, images, tmp_path / "ours").code == 0
    for name in chosen:
        ours, theirs = (nifti(tmp_path / folder / f"{name}.nii.gz") for folder in ("ours", "theirs"))
        same = np.asarray(ours.dataobj) == np.asarray(theirs.dataobj)
        assert same.mean() > 0.999
        assert theirs.affine.tobytes() == nifti(images / f"{name}.nii.gz").affine.tobytes()
        assert len(np.unique(np.asarray(theirs.dataobj))) > 1


def test_mistakes_are_told_and_leave_nothing(hilum: Hilum, trained: Path, exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    hilum("export", tmp_path, out).refuses("is not a run folder")
    hilum("export", trained, exported).refuses("exists already: replace it with --overwrite")
    hilum("export", trained, trained, "--overwrite").refuses("is no export of hilum")
    hilum("export", trained, out, "--format", "onxx").refuses("received 'onxx'", "did you mean 'onnx'?")
    hilum("export", trained, out, "--opset", 9).refuses("--opset: received 9, expected 15 to 20")
    hilum("export", trained, out, "--opset", 17, "--format", "monai").refuses("has no operators of ONNX")
    hilum("export", trained, out, "runtime.precision=bfloat16").refuses("an export is what was trained")
    hilum("export", trained, out, "--cases", tmp_path / "absent.nii").refuses("absent.nii: no such file or folder")
    steps = "predict.postprocess=[{kind: largest_component, of: organ}]"
    hilum("export", trained, out, steps, "--format", "monai").refuses("predict.postprocess", "--format onnx can")
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_absent_is_named(
    hilum: Hilum, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxruntime" else name)
    done = hilum("export", trained, tmp_path / "out")
    done.refuses("--format onnx needs onnxruntime: pip install hilum[export]")


def test_answers_that_differ_are_a_defect_and_nothing_appears(
    hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runner that blends otherwise than hilum."""
    monkeypatch.setattr("hilum.exporting.description.SIGMA_SHARE", 0.5)
    done = hilum("export", trained, tmp_path / "out", "--cases", min((phantoms / "images").glob("*.nii.gz")))
    done.refuses("does not answer as hilum does", "nothing was written", code=1)
    assert list(tmp_path.iterdir()) == []


def test_cases_and_settings_can_be_given_and_post_processing_comes_along(
    hilum: Hilum, own_run: Path, phantoms: Path, tmp_path: Path
) -> None:
    """Also where the data of the run are not there."""
    config = own_run / "config.yaml"
    config.write_text(config.read_text().replace(str(phantoms), str(tmp_path / "gone")))
    given = min((phantoms / "images").glob("*.nii.gz"))
    steps = "predict.postprocess=[{kind: largest_component, of: [organ, lesion]}]"
    done = hilum("export", own_run, tmp_path / "out", steps, "predict.flips=all", "--cases", given)
    assert done.code == 0, done.text
    assert "compared with hilum on the given cases" in done.out
    assert (tmp_path / "out" / "postprocess.py").is_file()
    assert len(read_json(tmp_path / "out" / "model.json")["flips"]) == 7
    assert [case["case"] for case in read_json(tmp_path / "out" / "parity.json")["cases"]] == [given.name[:-7]]


def test_the_bundle_runs_in_monai(hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path) -> None:
    """The export itself has MONAI's own runner execute it, in a process of its own, and measures the agreement."""
    pytest.importorskip("monai")
    done = hilum("export", trained, tmp_path / "bundle", "--format", "monai")
    assert done.code == 0, done.text
    bundle = tmp_path / "bundle"
    files = {str(file.relative_to(bundle)) for file in bundle.rglob("*") if file.is_file()}
    wanted = {"LICENSE", "configs/inference.json", "configs/metadata.json", "docs/README.md", "models/model.ts"}
    assert files == wanted | {"parity.json"}
    parity = read_json(bundle / "parity.json")
    assert parity["least_agreement"] > 0.99
    metadata = read_json(bundle / "configs" / "metadata.json")
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"] == {
        "0": "background",
        "1": "organ",
        "2": "lesion",
    }
