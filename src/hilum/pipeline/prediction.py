"""Predicts a file, a folder or a manifest: one output a case, one row a case, and no case that ends the batch."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from hilum.case import Case
from hilum.data.audit.looks import looks_of
from hilum.data.hashes import Hashes
from hilum.data.index.headers import frames_finding
from hilum.data.modalities import MODALITIES, modalities
from hilum.data.seen import Seen, incomparable, read_seen, refuse_seen
from hilum.errors import DataError
from hilum.formats.writing import mask_suffix, write_mask_like
from hilum.inference.inputs import find_inputs
from hilum.inference.predictor import Predictor
from hilum.pipeline.restore import restore
from hilum.run import open_run, write_text
from hilum.sources.base import listed
from hilum.training.interrupt import StopRequest

Say = Callable[[str], None]
Row = dict[str, str | float]


@dataclass(frozen=True)
class Batch:
    """What came of a batch: rows of the cases that were predicted, and of those that could not be."""

    results: tuple[Row, ...]
    failures: tuple[Row, ...]


class _Failed(Exception):  # noqa: N818 (carries the stage that failed)
    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage


def predict(
    folder: Path | str,
    source: Path | str,
    output: Path | str,
    *,
    overrides: Sequence[str] = (),
    check_leakage: bool = False,
    say: Say = print,
) -> Batch:
    """Predictions of every case of `source`, written into the folder `output` with results.csv and failures.csv.

    Segmentations lie on each input's own grid; classifications are rows of probabilities. A case that cannot be read
    or predicted is a row of failures.csv. Raises DataError where there is no input or the output cannot be written,
    and with `check_leakage` for cases that the network was trained or chosen on; CheckpointError for a bad run.
    """
    run = open_run(Path(folder))
    restored = restore(run, overrides)
    cases = find_inputs(Path(source), restored.problem.channels, frames=restored.facts["frames"])
    compared: set[str] = set()
    if check_leakage:
        seen = read_seen(run.seen, sha256=run.read_json(run.provenance).get("seen_sha256"))
        refuse_seen(cases, seen, cache=restored.experiment.data.cache)
        compared = _compared(cases, seen, cache=restored.experiment.data.cache, say=say)
    predictor = restored.predictor(restored.experiment.runtime.start(alone=True))
    target = _output_folder(Path(output), Path(source), cases)
    for note in restored.notes:
        say(note)
    results: list[Row] = []
    failures: list[Row] = []
    with StopRequest() as stop:
        for number, case in enumerate(cases, start=1):
            start = perf_counter()
            try:
                row = _predict_case(case, predictor, target)
                checked: Row = {"seen": "no" if case.id in compared else "unknown"} if check_leakage else {}
                results.append({**row, **checked, "seconds": round(perf_counter() - start, 3)})
                state = "done"
            except _Failed as failure:
                failures.append(
                    {
                        "case_id": case.id,
                        "file": str(next(iter(case.files), "")),
                        "stage": failure.stage,
                        "reason": str(failure),
                    }
                )
                state = f"FAILED while {failure.stage}: {failure}"
            say(f"[{number}/{len(cases)}] {case.id}  {perf_counter() - start:.1f}s  {state}")
            _write_tables(target, results, failures)
            stop.check()
    tables = [str(target / name) for name, rows in (("results.csv", results), ("failures.csv", failures)) if rows]
    say(f"{len(results)} predicted, {len(failures)} failed; see {' and '.join(tables)}")
    return Batch(tuple(results), tuple(failures))


def _compared(cases: Sequence[Case], seen: Sequence[Seen], *, cache: Path | None, say: Say) -> set[str]:
    """Ids of the cases whose voxels could be compared with what was seen; says how many, and names the others."""
    if said := incomparable(seen):
        say(f"warning: {said}")
        say(f"no identical ids or patients among {len(cases)} cases; voxels were not compared")
        return set()
    looks = looks_of([ref for case in cases for ref in case.files], cache=cache)
    told = {ref for ref, look in looks.items() if look.thumbnail is not None}
    compared = {case.id for case in cases if told.intersection(case.files)}
    say(f"no identical voxels, ids or patients among the {len(compared)} compared")
    others = [case.id for case in cases if case.id not in compared]
    if others:
        say(f"only ids and patients of {len(others)}, which cannot be read or have no contrast: {listed(others)}")
    blank = sorted({row.case_id for row in seen if not row.voxels})
    if blank:
        say(f"only ids and patients are known of {len(blank)} cases that the network has seen: {listed(blank)}")
    return compared


def _output_folder(target: Path, source: Path, cases: Sequence[Case]) -> Path:
    """The folder to write into. Raises DataError where it cannot be made, or where it would hold its own inputs."""
    if any(ref.path.resolve().parent == target.resolve() for case in cases for ref in case.files):
        raise DataError(f"{target}: holds the images that are to be predicted, choose another folder for the output")
    if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{target}: lies in the folder of images, where a second run would take outputs for inputs")
    if (target / "config.yaml").exists():
        raise DataError(f"{target}: is a run folder, choose another folder for the output")
    try:
        target.mkdir(parents=True, exist_ok=True)
        for table in ("results.csv", "failures.csv"):
            (target / table).unlink(missing_ok=True)  # those of an earlier batch
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {error.strerror}") from error
    return target


def _predict_case(case: Case, predictor: Predictor, target: Path) -> Row:
    """The row of one case, its output written. Raises _Failed with the stage at which it could not go on."""
    stage = "reading"
    try:
        if not case.files:
            raise DataError("has no image at all")
        images = {(ref.path, ref.key): ref for ref in case.files}  # frames of one file count once
        digest = " ".join(Hashes(None).of_image(ref) for ref in images.values())
        _refuse_other_frames(case)
        image = predictor.read(case.images)
        if predictor.problem.dims == 3 and image.grid.shape[2] == 1:
            raise DataError("is a single slice, this network takes volumes")
        stage = "predicting"
        row: Row = {"case_id": case.id, "patient_id": case.patient, "status": "done", "input_sha256": digest}
        if predictor.may_lack_channels:
            row[MODALITIES] = modalities(case, predictor.problem.channels)
        if predictor.problem.kind == "classification":
            probabilities = predictor.classify(image)
            row["predicted"] = predictor.problem.classes[int(probabilities.argmax())]
            return row | {
                f"p_{name}": float(p) for name, p in zip(predictor.problem.classes, probabilities, strict=True)
            }
        values = predictor.segment(image).tensor[0].numpy()
        stage = "writing"
        like = case.files[0]
        out = target / f"{case.id}{mask_suffix(like)}"
        write_mask_like(values, like, out)
    except Exception as error:  # whatever a file makes of a library: the batch goes on
        raise _Failed(
            stage, f"{type(error).__name__}: {error}" if not isinstance(error, DataError) else str(error)
        ) from error
    inside = predictor.problem.membership(values).reshape(len(predictor.problem.foreground), -1).sum(1)
    voxel_ml = abs(float(np.linalg.det(image.grid.affine[:3, :3]))) / 1000
    unit, size = ("ml", voxel_ml) if image.grid.unit == "mm" else ("pixels", 1.0)
    row["output"] = out.name
    return row | {
        f"{name}_{unit}": float(count * size) for name, count in zip(predictor.problem.foreground, inside, strict=True)
    }


def _refuse_other_frames(case: Case) -> None:
    finding = frames_finding(case)
    if finding is not None:
        raise DataError([finding])


def _write_tables(target: Path, results: Sequence[Row], failures: Sequence[Row]) -> None:
    """Both tables, whole after every case: what a batch that is killed leaves behind is true."""
    if results:
        write_text(target / "results.csv", _table(results))
    if failures:
        write_text(target / "failures.csv", _table(failures))


def _table(rows: Sequence[Mapping[str, str | float]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
