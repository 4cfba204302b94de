"""The division that comes with the data, or with a file."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import NonNegativeInt

from hilum.case import Case
from hilum.data.splits.base import PARTS, SHARED, Part, Split, SplitConfig, read_split_table, received_part
from hilum.errors import SplitError
from hilum.sources.base import listed
from hilum.sources.spelling import spelling

Folds = dict[int | None, dict[str, str]]
"""By fold, the part of each case id; a file without folds has one, None."""


class PredefinedConfig(SplitConfig, kind="predefined"):
    """The official division of the source (its part column or arrays), or of a file."""

    file: Path | None = None
    """A table with the columns case_id and part, and fold where it holds several, such as the split.csv of a run;
    or nnU-Net's splits_final.json."""
    fold: NonNegativeInt | None = None
    """Which fold of a file that holds several."""

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The given split.

        Raises SplitError for cases without a part, unknown parts, shared patients, and a file whose column patient_id
        names other patients than the data.
        """
        if self.file is None:
            if self.fold is not None:
                raise SplitError("fold: the parts of a source have no folds; remove it, or give a file")
            folds: Folds = {None: {case.id: case.part for case in cases if case.part}}
            fold, given = None, folds[None]
            hint = "this source has no parts of its own: give data.split.file"
        else:
            folds = _folds_of(self.file)
            fold, given = self._chosen(folds)
            hint = f"add them to {self.file}"
            _compare_patients(self.file, fold, given, cases)
        without = [case.id for case in cases if case.id not in given]
        if without:
            raise SplitError(f"{len(without)} cases have no part, such as {', '.join(without[:3])}; {hint}")
        wrong = next((part for part in given.values() if part not in PARTS), None)
        if wrong is not None:
            raise SplitError(received_part(wrong))
        parts: dict[Part, tuple[Case, ...]] = {
            part: tuple(case for case in cases if given[case.id] == part) for part in PARTS
        }
        notes = self._absent(set(given) - {case.id for case in cases})
        return Split(parts, fold=fold, notes=(*notes, *_repeated(self.file, folds)))

    def runs(self, cases: Sequence[Case]) -> tuple[Self, ...]:
        """Every fold of the file."""
        del cases
        folds = _folds_of(self.file) if self.file is not None else {}
        return tuple(self.model_copy(update={"fold": fold}) for fold in folds) if len(folds) > 1 else (self,)

    @property
    def run_name(self) -> str:
        """fold-0 and so on; empty where there is only one."""
        return "" if self.fold is None else f"fold-{self.fold}"

    def _chosen(self, folds: Folds) -> tuple[int | None, dict[str, str]]:
        """The fold that is asked for. Raises SplitError where it is not there, or where nobody says which."""
        if self.fold is None and len(folds) == 1:
            return next(iter(folds.items()))
        there = listed([str(fold) for fold in folds])
        if self.fold is None:
            raise SplitError(f"{self.file}: holds {len(folds)} folds: say which one with data.split.fold ({there})")
        if self.fold not in folds:
            expected = "no data.split.fold, since it has none" if None in folds else f"one of {there}"
            raise SplitError(f"{self.file}: received fold {self.fold}, expected {expected}")
        return self.fold, folds[self.fold]

    def _absent(self, ids: set[str]) -> tuple[str, ...]:
        """The note on cases that the file names and the data do not have."""
        if not ids:
            return ()
        return (f"{len(ids)} cases of {self.file} are not in the data, such as {', '.join(sorted(ids)[:3])}",)


def _folds_of(file: Path) -> Folds:
    """Every fold of a table or of a splits_final.json. Raises SplitError where it is neither."""
    return _from_json(file) if file.suffix.lower() == ".json" else _from_table(file)


def _compare_patients(file: Path, fold: int | None, given: Mapping[str, str], cases: Sequence[Case]) -> None:
    """Raise SplitError where the column patient_id of a table has a patient in two parts, or not those of the cases."""
    rows = () if file.suffix.lower() == ".json" else read_split_table(file, ("case_id", "part")).rows
    chosen = [row for row in rows if row.get("fold", "") == "" or int(row["fold"]) == fold]
    patients = {row["case_id"]: row["patient_id"] for row in chosen if row.get("patient_id")}
    where: dict[str, set[str]] = defaultdict(set)
    for case_id, patient in patients.items():
        where[patient].add(given[case_id])
    shared = [f"{patient} ({listed(sorted(parts))})" for patient, parts in where.items() if len(parts) > 1]
    if shared:
        raise SplitError(
            f"{file}: {SHARED}: {len(shared)}, such as {listed(shared)} by its column patient_id. "
            "All scans of a patient belong to one part"
        )
    changed = [
        f"{case.id} ({patients[case.id]} there, {case.patient} in the data)"
        for case in cases
        if case.id in patients and spelling(patients[case.id]) != spelling(case.patient)
    ]
    if changed:
        raise SplitError(
            f"{len(changed)} cases of {file} have another patient in the data, such as {listed(changed)}: "
            "mend the patients of data.source, or the column patient_id"
        )


def _repeated(file: Path | None, folds: Folds) -> tuple[str, ...]:
    """The note on cases that are scored in several folds: tested, or where nothing is tested, chosen on."""
    part = "test" if any("test" in parts.values() for parts in folds.values()) else "val"
    counted = Counter(case_id for parts in folds.values() for case_id, own in parts.items() if own == part)
    several = [case_id for case_id, count in counted.items() if count > 1]
    if not several:
        return ()
    pooled = "scores pooled over the folds count them more than once"
    return (f"{len(several)} cases are in the {part} part of several folds of {file}: {listed(several)}; {pooled}",)


def _from_table(file: Path) -> Folds:
    rows = read_split_table(file, ("case_id", "part")).rows
    wrong = sorted({row.get("fold", "") for row in rows if not row.get("fold", "0").isdecimal()} - {""})
    if wrong:
        raise SplitError(f"{file}: column 'fold' holds {listed(wrong)}, expected whole numbers or nothing")
    folds: Folds = {}
    for row in rows:
        fold = row.get("fold", "")
        folds.setdefault(int(fold) if fold else None, {})[row["case_id"]] = row["part"]
    if None in folds and len(folds) > 1:
        raise SplitError(f"{file}: some rows have a fold and {len(folds[None])} have none: expected all or none")
    return dict(sorted(folds.items(), key=lambda item: item[0] or 0))


def _from_json(file: Path) -> Folds:
    """A list with a mapping a fold, from the names of parts to lists of case ids; as nnU-Net writes it."""
    expected = 'expected a list with {"train": [ids], "val": [ids]} for each fold, as nnU-Net writes it'
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"), object_pairs_hook=_each_once)
    except (OSError, ValueError, RecursionError) as error:
        raise SplitError(f"{file}: cannot be read ({error}); {expected}") from error
    if not isinstance(content, list) or not content:
        raise SplitError(f"{file}: {expected}")
    folds: Folds = {}
    for number, fold in enumerate(content):
        if not isinstance(fold, dict) or not all(_are_ids(ids) for ids in fold.values()):
            raise SplitError(f"{file}: fold {number} is something else; {expected}")
        counted = Counter(str(case_id) for ids in fold.values() for case_id in ids)
        twice = [case_id for case_id, count in counted.items() if count > 1]
        if twice:
            raise SplitError(f"{file}: {len(twice)} cases of fold {number} stand there more than once: {listed(twice)}")
        folds[number] = {str(case_id): str(part) for part, ids in fold.items() for case_id in ids}
    return folds


def _each_once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """A mapping of JSON. Raises ValueError for a name that stands there twice, of which json would keep the last."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError(f"{listed([name for name, _ in pairs])}: a name stands there twice")
    return dict(pairs)


def _are_ids(ids: object) -> bool:
    return isinstance(ids, list) and all(isinstance(case_id, str) for case_id in ids)
