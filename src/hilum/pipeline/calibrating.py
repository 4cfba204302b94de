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
from hilum.evaluation.decision import OperatingPoint
from hilum.evaluation.patients import patient_rows
from hilum.evaluation.reliability import reliability_of
from hilum.evaluation.rows import PROBABILITY_PREFIX, CaseKey, Row, classification_row
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
"""The two classes of a region."""


@dataclass(frozen=True)
class Output:
    """What the network says of one validation case: truth (N,) and probabilities (N, C), float32.

    N is 1 for a class, or many voxels; regions are taken one by one, each as two classes.
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
    truth = np.concatenate([output.truth for output in outputs])
    raw = torch.from_numpy(np.concatenate([output.probabilities for output in outputs]))
    temperature, note = 1.0, ""
    if decide.calibrate:
        logits = evidence(raw.double(), exclusive=True).numpy()
        fitted = fit_temperature(logits, truth)
        temperature, note = (1.0, why_unfitted(logits, truth)) if fitted is None else (fitted, "")
    states = {"raw": raw, "calibrated": raw if temperature == 1 else tempered(raw, temperature, exclusive=True)}
    names = problem.classes if problem.exclusive else IN_OUT
    owners = [output.patient for output in outputs for _ in output.truth]
    named = {name: state.double().numpy() for name, state in states.items()}
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
    rows: list[Row] = [
        classification_row(key, int(output.truth[0]), probabilities=own, problem=problem)
        for key, output, own in zip(keys, outputs, probabilities, strict=True)
    ]
    levels: dict[str, Sequence[Row]] = {"case": rows}
    if decide.patient is not None:
        levels["patient"] = patient_rows(rows, problem, decide=decide)
    return {level: _point(own, problem, decide).record for level, own in levels.items()}


def _point(rows: Sequence[Row], problem: Problem, decide: DecideConfig) -> OperatingPoint:
    positive = decide.positive_class(problem)
    true = np.array([row["truth"] == positive for row in rows])
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
        if isinstance(prepared.target, int):
            truth, probabilities = np.array([prepared.target]), predictor.classify_prepared([volume]).numpy()
        else:
            number = runtime.rank + index * runtime.world
            most = max(1, SAMPLED_VOXELS // len(cases))
            predicted = predictor.probabilities(volume).tensor.cpu().numpy()
            rng = generator(runtime.seed, 0, number, "calibrate")
            truth, probabilities = sampled(
                np.asarray(prepared.target), predicted, exclusive=study.problem.exclusive, rng=rng, most=most
            )
        yield Output(case.id, case.patient, truth.astype(np.int64), probabilities)


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
    inside = predicted[:, drawn].ravel().clip(LEAST_DOUBT, 1 - LEAST_DOUBT)
    return flat[:, drawn].ravel(), np.stack([1 - inside, inside], axis=1)
