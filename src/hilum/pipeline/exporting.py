"""Exports the network of a run for use without hilum, and proves that it answers alike before anything appears."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from hilum import __version__
from hilum.case import Case
from hilum.data.splits.base import restore as restore_split
from hilum.errors import ConfigError, HilumError, nearest
from hilum.exporting.bundle import prove_bundle, refuse_unsuited, write_bundle
from hilum.exporting.cases import Proof, drawn_case, given_cases, validation_cases
from hilum.exporting.decisions import Decisions
from hilum.exporting.description import refuse_unknown
from hilum.exporting.folder import MARK, appearing, refuse_taken
from hilum.exporting.network import DEFAULT_OPSET, OPSETS
from hilum.exporting.options import ExportOptions
from hilum.exporting.parity import LARGEST_DIFFERENCE, LEAST_AGREEMENT, judge
from hilum.exporting.standalone import prove_standalone, write_standalone
from hilum.inference.predictor import Predictor
from hilum.pipeline.restore import Restored, restore
from hilum.run import Run, open_run

Say = Callable[[str], None]
FORMATS = ("onnx", "monai")
NEEDED = {"onnx": (("onnx", "onnxruntime"), "export"), "monai": (("monai",), "monai")}
"""The packages that a format needs, and the extra of hilum that brings them."""
ADJUSTABLE = ("predict.", "decide.", "data.source.")
"""Keys that may be given another value: an export is always in float32, and computed on the CPU."""


AS_USUAL = ExportOptions()


def export(
    folder: Path | str,
    output: Path | str,
    *,
    to: Literal["onnx", "monai"] = "onnx",
    cases: Sequence[Path | str] = (),
    options: ExportOptions = AS_USUAL,
    say: Say = print,
) -> dict[str, Any]:
    """How well the exported network agrees with hilum (parity.json), after writing it into the folder `output`.

    `onnx`: model.onnx, model.json and run.py, which needs onnxruntime, numpy and nibabel only. `monai`: a bundle that
    MONAI's own runner executes. Both are run on `cases` (files, folders or manifests), else on some validation cases of
    the run, and compared with hilum in float32 on the CPU. Raises ConfigError for what cannot be exported,
    CheckpointError for a bad run, and ParityError (exit code 1), before anything appears, where the answers differ.
    """
    target = Path(output)
    _refuse(to, options)
    refuse_taken(target, overwrite=options.overwrite)
    run = open_run(Path(folder))
    restored = restore(run, options.overrides)
    decisions = _decisions(restored)
    predictor = _predictor(restored, to, decisions)
    for note in (*restored.notes, *_left_away(restored)):
        say(note)
    source = {"hilum": __version__, "run": restored.experiment.name, "weights_sha256": restored.weights_sha256}
    with appearing(target) as part, tempfile.TemporaryDirectory() as scratch:
        place, frames = Path(scratch), restored.facts["frames"]
        proof = _proof([Path(case) for case in cases], run, restored, predictor=predictor, folder=place)
        say(f"compared with hilum on {proof.said}:")
        if to == "onnx":
            opset = options.opset or DEFAULT_OPSET
            write_standalone(predictor, part, opset=opset, frames=frames, source=source, decisions=decisions)
            found = prove_standalone(predictor, proof.cases, folder=part, scratch=place, decisions=decisions)
            parity = judge(found, least=LEAST_AGREEMENT, largest=LARGEST_DIFFERENCE)
        else:
            write_bundle(predictor, part, source=source, decisions=decisions)
            found = prove_bundle(predictor, proof.cases, folder=part, scratch=place, decisions=decisions)
            parity = judge(found, least=None, largest=None)
        for case in found:
            say(f"  {case.line}")
        parity = {**source, "format": to, "compared_on": proof.said, **parity}
        (part / MARK).write_text(json.dumps(parity, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"exported to {target}; see {target / MARK}")
    return parity


def _predictor(restored: Restored, to: str, decisions: Decisions) -> Predictor:
    """The network with what surrounds it, in float32 on the CPU. Raises ConfigError for what cannot be exported."""
    fixed = {"device": "cpu", "precision": "float32"}
    predictor = restored.predictor(restored.experiment.runtime.model_copy(update=fixed).start(alone=True))
    refuse_unknown(predictor, decisions)
    if to == "monai":
        refuse_unsuited(predictor, restored.facts["frames"])
    return predictor


def _decisions(restored: Restored) -> Decisions:
    """What becomes of the probabilities of a case, as declared for the run and chosen on its validation part."""
    decide, chosen = restored.experiment.decide, restored.decision
    positive = decide.positive_class(restored.problem) if restored.problem.kind == "classification" else None
    return Decisions(chosen.temperature, decide.slices, positive, chosen.of_cases)


def _left_away(restored: Restored) -> tuple[str, ...]:
    """What hilum predict does and an exported network does not."""
    if restored.experiment.decide.patient is None:
        return ()
    return ("decide.patient: an export decides about cases; hilum predict writes patients.csv, too",)


def _refuse(to: str, options: ExportOptions) -> None:
    """Raise ConfigError for choices that cannot be, and for packages that are not installed."""
    if to not in FORMATS:
        close = nearest(to, FORMATS)
        hint = f"; did you mean '{close}'?" if close else ""
        raise ConfigError(f"--format: received '{to}', expected one of {', '.join(FORMATS)}{hint}")
    if options.opset is not None and to != "onnx":
        raise ConfigError(f"--opset: received {options.opset}, but --format {to} has no operators of ONNX")
    if options.opset is not None and options.opset not in OPSETS:
        raise ConfigError(f"--opset: received {options.opset}, expected {OPSETS.start} to {OPSETS.stop - 1}")
    fixed = [text for text in options.overrides if not text.startswith(ADJUSTABLE)]
    if fixed:
        raise ConfigError(f"{fixed[0]}: an export is what was trained; only {', '.join(ADJUSTABLE)} can be set")
    packages, extra = NEEDED[to]
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    if absent:
        raise ConfigError(f"--format {to} needs {' and '.join(absent)}: pip install hilum[{extra}]")


def _proof(given: Sequence[Path], run: Run, restored: Restored, *, predictor: Predictor, folder: Path) -> Proof:
    """What the export is proved on: what is given, else validation cases, else a drawn volume."""
    if given:
        return given_cases(given, predictor, frames=restored.facts["frames"], folder=folder)
    found = validation_cases(_validation_part(run, restored), predictor, folder=folder)
    return found or drawn_case(predictor, folder=folder)


def _validation_part(run: Run, restored: Restored) -> tuple[Case, ...]:
    """The validation cases of the run; none where its data are not here, or are others now."""
    try:
        cohort = restored.experiment.data.source.cohort(restored.problem.kind)
        return tuple(restore_split(run.split, cohort.cases, notes=()).part("val"))
    except (HilumError, OSError):
        return ()
