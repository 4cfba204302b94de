"""An exported network as a bundle that MONAI's own runner executes: its files, and the proof that they agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.errors import ConfigError
from hilum.exporting.bundle_config import PROBABILITIES, inference_config
from hilum.exporting.decisions import AS_THEY_ARE, Decisions
from hilum.exporting.network import output_name, write_torchscript
from hilum.exporting.parity import CaseParity, compare_answers, compare_labels, run_alone
from hilum.formats.nifti import write_volume
from hilum.formats.reading import stem

if TYPE_CHECKING:
    from hilum.case import Case
    from hilum.inference.inputs import Frames
    from hilum.inference.predictor import Predictor

PROOF = "proof.json"
"""The configuration that a bundle is proved with: its own, and all probabilities are written, too."""
RUN = """\
import sys
from monai.bundle import run
run(config_file=sys.argv[3], meta_file="configs/metadata.json", dataset_dir=sys.argv[1],
    output_dir=sys.argv[2])
"""
"""What `python -m monai.bundle run` calls; that command itself also needs the package fire."""
LICENSE = """\
The weights in this bundle were trained by whoever made it, on data of theirs. hilum, which wrote the files, claims no
right in them and grants none: replace this text by the licence that you give, before you hand the bundle on.
"""
SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"


def refuse_unsuited(predictor: Predictor, frames: Frames) -> None:
    """Raise ConfigError naming everything about a predictor that a bundle has no equal for."""
    faults = []
    if predictor.problem.kind == "restoration":
        faults.append("a restoration: MONAI has no step that leads intensities back to those of the image")
    if predictor.may_lack_channels:
        faults.append("data.missing: MONAI's transforms know no image that lacks channels")
    if len(frames) > 1 and frames[0] is None:
        faults.append("several files a case: MONAI is given a folder with one file a case")
    if frames[0] is not None and list(frames) != list(range(predictor.problem.num_channels)):
        faults.append("frames in another order than in their file")
    if predictor.postprocess:
        faults.append("predict.postprocess: MONAI's needs scikit-image; export with predict.postprocess=[]")
    if predictor.problem.dims == 2 and predictor.window is None and predictor.problem.kind == "segmentation":
        faults.append("a 2D network without data.patch: MONAI's slice inferer takes windows of a given size")
    if faults:
        raise ConfigError("--format monai cannot express " + "; nor ".join(faults) + ". --format onnx can")


def write_bundle(
    predictor: Predictor, folder: Path, *, source: dict[str, Any], decisions: Decisions = AS_THEY_ARE
) -> None:
    """Write the network, MONAI's configuration, and what a bundle has besides, into `folder`."""
    for name in ("models", "configs", "docs"):
        (folder / name).mkdir()
    write_torchscript(predictor, folder / "models" / "model.ts")
    _write_json(folder / "configs" / "inference.json", inference_config(predictor, decisions))
    _write_json(folder / "configs" / "metadata.json", _metadata(predictor, source))
    (folder / "docs" / "README.md").write_text(_readme(predictor, source), encoding="utf-8")
    (folder / "LICENSE").write_text(LICENSE, encoding="utf-8")


def prove_bundle(
    predictor: Predictor, cases: Sequence[Case], *, folder: Path, scratch: Path, decisions: Decisions = AS_THEY_ARE
) -> list[CaseParity]:
    """What MONAI makes of each case with the bundle in `folder`, in a process of its own, against hilum.

    Raises ParityError where MONAI fails, DataError where hilum cannot read a case.
    """
    images, output = scratch / "images", scratch / "labels"
    images.mkdir()
    for number, case in enumerate(cases):
        _one_file(case, predictor, images, name=str(number))
    proof = scratch.resolve() / PROOF
    _write_json(proof, inference_config(predictor, decisions, probabilities=True))
    run_alone(["-c", RUN, images.resolve(), output.resolve(), proof], folder=folder)
    found = []
    for number, case in enumerate(cases):
        image = predictor.read(case.images)
        if not predictor.problem.dense:
            theirs = json.loads((output / f"{number}.json").read_text(encoding="utf-8"))
            found.append(compare_answers(case.id, image, theirs, predictor=predictor, point=decisions.point))
        else:
            labels, likely = output / f"{number}.nii.gz", output / f"{number}_{PROBABILITIES}.nii.gz"
            found.append(compare_labels(case.id, image, labels, predictor=predictor, probabilities=likely))
    return found


def _one_file(case: Case, predictor: Predictor, folder: Path, *, name: str) -> None:
    """Put a case into `folder` under a name of its own: a link to its file, or a series of its channels."""
    path = case.files[0].path
    if len({ref.path for ref in case.files}) == 1:
        (folder / f"{name}{path.name[len(stem(path)) :]}").symlink_to(path.resolve())
        return
    image = predictor.read(case.images)
    write_volume(folder / f"{name}.nii.gz", image.tensor.movedim(0, -1).numpy(), image.grid.affine)


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")


def _metadata(predictor: Predictor, source: dict[str, Any]) -> dict[str, Any]:
    """The content of configs/metadata.json, as MONAI's specification of bundles wants it."""
    problem = predictor.problem
    size = list(predictor.window or predictor.fixed_size or ["*"] * problem.dims)
    image = {
        "type": "image",
        "format": "magnitude",
        "num_channels": problem.num_channels,
        "spatial_shape": size,
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": predictor.window is not None,
        "channel_def": {str(index): name for index, name in enumerate(problem.channels)},
    }
    answer = {
        "type": output_name(problem),
        "format": problem.kind,
        "num_channels": problem.num_outputs,
        "spatial_shape": size if problem.kind == "segmentation" else [],
        "dtype": "float32",
        "value_range": [] if problem.continuous else [0, 1],
        "is_patch_data": predictor.window is not None,
        "channel_def": {str(index): name for index, name in enumerate(problem.classes)},
    }
    return {
        "schema": SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": f"exported by hilum {source['hilum']}"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch").partition("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {"nibabel": version("nibabel")},
        "name": source["run"],
        "task": f"{problem.kind}: {', '.join(problem.classes)}",
        "description": f"A network trained and exported by hilum; weights {source['weights_sha256']}",
        "authors": "",
        "copyright": "",
        "intended_use": "Research only. No medical device, and nobody has approved it for clinical use.",
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": answer}},
    }


def _readme(predictor: Predictor, source: dict[str, Any]) -> str:
    said = {"classification": "its class and all probabilities", "multilabel": "its findings and their probabilities"}
    json_files = f"JSON files, which say of each image {said.get(predictor.problem.kind, 'its numbers')}"
    what = "label maps" if predictor.problem.kind == "segmentation" else json_files
    return f"""\
# {source["run"]}

A {predictor.problem.kind} ({", ".join(predictor.problem.classes)}), trained and exported by hilum {source["hilum"]}.

    python -m monai.bundle run --config_file configs/inference.json --dataset_dir IMAGES --output_dir RESULTS

from this folder (it needs the packages monai, nibabel and fire) turns a folder of NIfTI files, one a case, into
{what}. `models/model.ts` is TorchScript: images (B, C, *spatial) to {output_name(predictor.problem)}.

MONAI's transforms are near to hilum's and not the same: how well the two agree on some cases, measured when this bundle
was written, stands in `parity.json`.

For research only: no medical device, and nobody has approved it for clinical use.
"""
