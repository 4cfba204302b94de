"""An exported network that runs on onnxruntime, numpy and nibabel alone: its files, and the proof that they agree."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.exporting.decisions import AS_THEY_ARE, Decisions
from hilum.exporting.description import describe
from hilum.exporting.network import write_onnx
from hilum.exporting.parity import CaseParity, compare_answers, compare_images, compare_labels, run_alone
from hilum.formats.reading import stem

if TYPE_CHECKING:
    from hilum.case import Case
    from hilum.inference.inputs import Frames
    from hilum.inference.predictor import Predictor

NETWORK, DESCRIPTION, RUNNER, DECIDE = "model.onnx", "model.json", "run.py", "decide.py"
POSTPROCESS = "postprocess.py"
"""What the runner needs besides, where a run has post-processing."""


def write_standalone(
    predictor: Predictor,
    folder: Path,
    *,
    opset: int,
    frames: Frames,
    source: dict[str, Any],
    decisions: Decisions = AS_THEY_ARE,
) -> None:
    """Write the network, its description, and the runner with what it needs into `folder`."""
    size = write_onnx(predictor, folder / NETWORK, opset=opset)
    facts = {**source, "opset": opset, "size": None if size is None else list(size)}
    description = describe(predictor, frames=frames, source=facts, decisions=decisions)
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    here = Path(__file__).parent
    shutil.copyfile(here / "runner.py", folder / RUNNER)
    shutil.copyfile(here / "runner_decide.py", folder / DECIDE)
    if predictor.postprocess:
        shutil.copyfile(here / "runner_postprocess.py", folder / POSTPROCESS)


def prove_standalone(
    predictor: Predictor, cases: Sequence[Case], *, folder: Path, scratch: Path, decisions: Decisions = AS_THEY_ARE
) -> list[CaseParity]:
    """What the runner in `folder` makes of each case, in a process of its own, against hilum.

    Raises ParityError where it fails, DataError where hilum cannot read a case.
    """
    found = []
    for number, case in enumerate(cases):
        image = predictor.read(case.images)
        output = scratch / str(number)
        run_alone([folder.resolve() / RUNNER, "--probabilities", argument(case), output.resolve()], folder=scratch)
        name = stem(case.files[0].path)
        if not predictor.problem.dense:
            theirs = json.loads((output / f"{name}.json").read_text(encoding="utf-8"))
            found.append(compare_answers(case.id, image, theirs, predictor=predictor, point=decisions.point))
            continue
        if predictor.problem.kind == "restoration":
            found.append(compare_images(case.id, image, output / f"{name}.nii.gz", predictor=predictor))
            continue
        written, probabilities = output / f"{name}.nii.gz", output / f"{name}_probabilities.nii.gz"
        found.append(compare_labels(case.id, image, written, predictor=predictor, probabilities=probabilities))
        shutil.rmtree(output)  # probabilities of many classes are large
    return found


def argument(case: Case) -> str:
    """The images of a case as the runner takes them: one file, or a file a channel joined by commas."""
    paths = ["" if ref is None else str(ref.path.resolve()) for ref in case.images]
    return paths[0] if len(set(paths)) == 1 else ",".join(paths)
