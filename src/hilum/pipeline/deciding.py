"""What was chosen on the validation patients for the weights of a run, read back from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hilum.errors import ConfigError
from hilum.evaluation.decision import Decision, Points, points_from
from hilum.experiment import Experiment
from hilum.run import Run

KNOWN = ("temperature", "temperature_note", "cases", "patients", "voxels", "validation")
"""What a summary tells of what was chosen on validation."""


def decision_of(run: Run, experiment: Experiment, weights_sha256: str) -> Decision:
    """The temperature and the operating points that were chosen for these weights, and what to say about them.

    Raises ConfigError where the settings want what was not chosen for the run.
    """
    decide = experiment.decide
    if not decide.chooses:
        return Decision()
    kept = run.read_json(run.calibration)
    if kept.get("weights_sha256") != weights_sha256:
        note = "not chosen for these weights, since the training has not ended with them"
        return Decision(notes=(f"calibration and operating point: {note}: raw probabilities, the most likely class",))
    _refuse_other_settings(run, kept["settings"], decide.model_dump(mode="json"))
    points = {level: points_from(record) for level, record in kept["operating_points"].items()}
    if not decide.operating_point.has_threshold:
        points = {}
    temperature = float(kept["temperature"]) if decide.calibrate else 1.0
    facts = {key: kept[key] for key in KNOWN if key in kept}
    facts["operating_points"] = {level: point.record for level, point in points.items()}
    notes = (*_of_temperature(kept), *_of_points(points))
    return Decision(temperature, points.get("case"), points.get("patient"), facts, notes)


def _refuse_other_settings(run: Run, chosen: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise ConfigError unless what is wanted was chosen, for the probabilities that it will be applied to."""
    threshold = wanted["operating_point"] != {"kind": "argmax"}
    bound = list(wanted) if threshold else ["calibrate", "slices"]  # without a threshold, a temperature is wanted
    keys = [key for key in bound if wanted[key] != chosen.get(key)]
    if not keys:
        return
    settings = " ".join(f"decide.{key}=..." for key in keys)
    raise ConfigError(
        f"decide.{keys[0]}: received {wanted[keys[0]]}, but the run was calibrated with {chosen.get(keys[0])}: "
        f"choose anew on its validation part with hilum train --resume {run.folder} {settings}"
        + ("; decide.operating_point=argmax needs no choice" if threshold else "")
    )


def _of_temperature(kept: Mapping[str, Any]) -> list[str]:
    if not kept["settings"]["calibrate"]:
        return []
    raw, calibrated = kept["validation"]["raw"], kept["validation"]["calibrated"]
    if kept["temperature_note"]:
        return [f"probabilities are not calibrated: {kept['temperature_note']}"]
    gains = ", ".join(f"{name} {raw[name]:.4f} -> {calibrated[name]:.4f}" for name in raw)
    return [f"probabilities calibrated on the validation patients: temperature {kept['temperature']:.3f} ({gains})"]


def _of_points(points: Mapping[str, Points]) -> list[str]:
    """What is said of the operating points, of a case and of a patient."""
    said = []
    for level, point in ((level, point) for level, several in points.items() for point in several.each):
        said.append(f"operating point of a {level}, chosen on the validation patients: {point.described}")
        at = point.threshold
        if not at.tp + at.fp or not at.fn + at.tn:
            always = "never" if not at.tp + at.fp else "always"
            said.append(f"at this operating point a {level} is {always} predicted to be {point.positive}")
    return said


def told(kept: Mapping[str, Any]) -> list[str]:
    """All that is said of a calibration, from its JSON."""
    points = {level: points_from(record) for level, record in kept["operating_points"].items()}
    return [*_of_temperature(kept), *_of_points(points)]
