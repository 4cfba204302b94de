"""Fits the temperature and chooses the operating points on the validation patients, once a network is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hilum.evaluation.calibration import calibration_scores, fit_temperature, why_unfitted
from hilum.evaluation.decide_section import DecideConfig
from hilum.evaluation.decision import FindingPoints, OperatingPoint, Points
from hilum.evaluation.patient_answers import patient_answers
from hilum.evaluation.patients import patient_rows
from hilum.evaluation.reliability import reliability_of
from hilum.evaluation.rows import PROBABILITY_PREFIX, TRUTH_PREFIX, CaseKey, Row, image_row
from hilum.inference.predictor import Predictor
from hilum.layers.temperature import LEAST_DOUBT, evidence, tempered
from hilum.pipeline.deciding import told
from hilum.pipeline.restore import restore
from hilum.pipeline.session import Session
from hilum.problem import IGNORE, Problem
from hilum.random import generator
from hilum.report.reliability import reliability_diagram
from hilum.volume import Volume

Say = Callable[[str], None]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

SAMPLED_VOXELS = 2**18
"""Voxels of a segmentation that a temperature is fitted to, divided among the cases."""
IN_OUT = ("outside", "inside")
"""The two classes of a region or a finding."""


@dataclass(frozen=True)
class Output:
    """What the network says of one validation case: truth (N,), IGNORE where unknown; probabilities (N, C), float32.

    N is 1 for a class, the number of findings, or many voxels; findings and regions are taken one by one, each as two
    classes.
    """

    case_id: str
    patient: str
    truth: Indices
    probabilities: npt.NDArray[np.float32]


def calibrate(session: Session, *, say: Say) -> None:
    """Write into the run the temperature and the operating points, where the experiment asks for them.

    Every rank predicts its share of the validation cases with the weights that are scored; the main rank chooses.
    """
    run, runtime, experiment = session.run, session.runtime, session.study.experiment
    if runtime.is_main:
        run.forget_calibration()  # of other weights or settings; what follows must see the network as it is
    if not experiment.decide.chooses:
        return
    runtime.barrier()
    restored = restore(run)
    outputs = runtime.gather(list(_outputs(session, restored.predictor(runtime))))
    if not runtime.is_main:
        return
    outputs.sort(key=lambda output: output.case_id)
    content = {
        "weights_sha256": restored.weights_sha256,
        "settings": experiment.decide.model_dump(mode="json"),
        **chosen(outputs, session.study.problem, experiment.decide),
    }
    run.write_json(run.calibration, content)
    short = {key: content[key] for key in ("temperature", "operating_points")}
    run.write_json(run.provenance, run.read_json(run.provenance) | {"decide": short})
    reliability_diagram(content["reliability"], run.folder / "calibration.png")
    for line in told(content):
        say(line)


def chosen(outputs: Sequence[Output], problem: Problem, decide: DecideConfig) -> dict[str, Any]:
    """Temperature, scores before and after it, and operating points, as JSON."""
    everything = np.concatenate([output.truth for output in outputs])
    known = everything != IGNORE
    truth = everything[known]
    raw = torch.from_numpy(np.concatenate([output.probabilities for output in outputs]))
    temperature, note = 1.0, ""
    if decide.calibrate:
        logits = evidence(raw.double(), exclusive=True).numpy()[known]
        fitted = fit_temperature(logits, truth)
        temperature, note = (1.0, why_unfitted(logits, truth)) if fitted is None else (fitted, "")
    states = {"raw": raw, "calibrated": raw if temperature == 1 else tempered(raw, temperature, exclusive=True)}
    names = problem.classes if problem.exclusive else IN_OUT
    owners = [output.patient for output in outputs for true in output.truth if true != IGNORE]
    named = {name: state.double().numpy()[known] for name, state in states.items()}
    if not decide.calibrate:
        named = {"raw": named["raw"]}
    return {
        "cases": len(outputs),
        "patients": len({output.patient for output in outputs}),
        **({"voxels": len(truth)} if problem.kind == "segmentation" else {}),
        "temperature": temperature,
        "temperature_note": note,
        "validation": {name: calibration_scores(truth, state, names) for name, state in named.items()},
        "reliability": {
            name: reliability_of(truth, state, classes=names, patients=owners) for name, state in named.items()
        },
        "operating_points": _points(outputs, states["calibrated"].numpy(), problem=problem, decide=decide),
    }


def _points(
    outputs: Sequence[Output], probabilities: npt.NDArray[np.float32], *, problem: Problem, decide: DecideConfig
) -> dict[str, Any]:
    """The operating point of a case, and that of a patient where patients are decided about, as JSON."""
    if not decide.operating_point.has_threshold:
        return {}
    keys = [CaseKey(output.case_id, output.patient, "val") for output in outputs]
    each = np.split(probabilities, np.cumsum([len(output.truth) for output in outputs])[:-1])
    one = problem.kind == "classification"
    rows: list[Row] = [
        image_row(key, int(output.truth[0]), answers=own[0], problem=problem)
        if one
        else image_row(key, output.truth.astype(np.int8), answers=own[:, 1], problem=problem)
        for key, output, own in zip(keys, outputs, each, strict=True)
    ]
    levels: dict[str, Sequence[Row]] = {"case": rows}
    if decide.patient is not None and one:
        levels["patient"] = patient_rows(rows, problem, decide=decide)
    elif decide.patient is not None:
        levels["patient"] = patient_answers(rows, problem, decide=decide)
    return {level: _point(own, problem, decide).record for level, own in levels.items()}


def _point(rows: Sequence[Row], problem: Problem, decide: DecideConfig) -> Points:
    if problem.kind == "classification":
        positive = decide.positive_class(problem)
        return _chosen(positive, np.array([row["truth"] == positive for row in rows]), rows=rows, decide=decide)
    points = {}
    for name in problem.classes:
        known = [row for row in rows if row[f"{TRUTH_PREFIX}{name}"] is not None]
        true = np.array([row[f"{TRUTH_PREFIX}{name}"] == 1 for row in known])
        points[name] = _chosen(name, true, rows=known, decide=decide)
    return FindingPoints(points)


def _chosen(positive: str, true: npt.NDArray[np.bool_], *, rows: Sequence[Row], decide: DecideConfig) -> OperatingPoint:
    """The operating point of a class or a finding, which is `true` (N,) of the rows or not."""
    share = np.array([row[f"{PROBABILITY_PREFIX}{positive}"] for row in rows], dtype=np.float64)
    rule = decide.operating_point
    return OperatingPoint(positive, rule.choose(true, share), rule.model_dump(mode="json"))


def _outputs(session: Session, predictor: Predictor) -> Iterator[Output]:
    """This rank's share of the validation part, predicted as evaluation and prediction do it."""
    study, runtime = session.study, session.runtime
    cases = study.split.part("val")
    dataset = study.dataset(cases[runtime.rank :: runtime.world])
    for index, case in enumerate(dataset.cases):
        if runtime.world == 1:
            session.validation.stop.check()
        prepared = dataset.prepared(index)
        volume = Volume(torch.from_numpy(prepared.image), prepared.grid)
        truth: npt.NDArray[np.integer]
        if not study.problem.dense:
            assert prepared.target is not None, "a validation case has a label"
            truth, probabilities = of_image(prepared.target, predictor.classify_prepared([volume]).numpy())
        else:
            number = runtime.rank + index * runtime.world
            most = max(1, SAMPLED_VOXELS // len(cases))
            predicted = predictor.probabilities(volume).tensor.cpu().numpy()
            rng = generator(runtime.seed, 0, number, "calibrate")
            truth, probabilities = sampled(
                np.asarray(prepared.target), predicted, exclusive=study.problem.exclusive, rng=rng, most=most
            )
        yield Output(case.id, case.patient, truth.astype(np.int64), probabilities)


def of_image(
    target: int | npt.NDArray[Any], answers: npt.NDArray[np.float32]
) -> tuple[Indices, npt.NDArray[np.float32]]:
    """Truth (N,) and probabilities (N, C) of one image from its label and the network's answer (1, C).

    The findings of a multilabel task are taken one by one, each as two classes.
    """
    if isinstance(target, int):
        return np.array([target]), answers
    return target.astype(np.int64), _two_classes(answers[0])


def sampled(
    target: npt.NDArray[np.integer],
    probabilities: npt.NDArray[np.float32],
    *,
    exclusive: bool,
    rng: np.random.Generator,
    most: int,
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.float32]]:
    """Truth (N,) and probabilities (N, C) of voxels drawn evenly from those that are not ignored, or of all of them.

    From a target (1 or R, I, J, K) and probabilities (C or R, I, J, K). Each region of a voxel is a case of its own:
    outside or inside.
    """
    flat, predicted = target.reshape(len(target), -1), probabilities.reshape(len(probabilities), -1)
    known = np.flatnonzero(flat[0] != IGNORE)
    drawn = known if len(known) <= most else known[rng.integers(0, len(known), most)]
    if exclusive:
        return flat[0, drawn], predicted[:, drawn].T
    return flat[:, drawn].ravel(), _two_classes(predicted[:, drawn].ravel())


def _two_classes(inside: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The probabilities (N, 2) of being outside and inside."""
    inside = inside.clip(LEAST_DOUBT, 1 - LEAST_DOUBT)
    return np.stack([1 - inside, inside], axis=1)
