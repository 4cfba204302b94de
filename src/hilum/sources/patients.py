"""Whose scan a case is, where the data themselves do not say."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import model_validator

from hilum.errors import DataError, Finding, nearest
from hilum.settings import Settings
from hilum.sources.base import listed
from hilum.sources.tables import read_table

UNKNOWN = "patients unknown: one assumed per case"
"""What every report says where nobody knows which cases share a patient."""

OPTIONS = "table: FILE, regex: '...', one: NAME and each_case: true"
"""The ways to say whose scans there are."""


class PatientsConfig(Settings):
    """How patients are known: exactly one of `table`, `regex`, `one` and `each_case`."""

    table: Path | None = None
    """CSV file with the columns case_id and patient_id, in the folder of the data or else in the current one."""
    regex: str | None = None
    """Regular expression found in the case id; its first group is the patient, as in `^(sub-\\d+)_`."""
    one: str | None = None
    """Name of the one patient (specimen, animal) that all cases come from, as the slices of one stack do."""
    each_case: bool = False
    """Every case is a patient of its own. Reports then say that patients are unknown."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in ("table", "regex", "one", "each_case") if getattr(self, name)]
        if len(given) != 1:
            received = " and ".join(given) if given else "none of them"
            raise ValueError(f"exactly one of {OPTIONS} (received {received})")
        if self.regex is not None:
            _compile(self.regex)
        return self

    @property
    def notes(self) -> tuple[str, ...]:
        """What every report has to say about the patients."""
        return (UNKNOWN,) if self.each_case else ()

    def assign(self, case_ids: Sequence[str], *, folder: Path) -> dict[str, str]:
        """The patient of each case. Raises DataError naming every case without one."""
        if self.one is not None:
            return dict.fromkeys(case_ids, self.one)
        if self.table is not None:
            known = _from_table(self.table if not (folder / self.table).is_file() else folder / self.table)
            source = f"{self.table} names no patient"
        elif self.regex is not None:
            found = {case_id: _compile(self.regex).search(case_id) for case_id in case_ids}
            known = {case_id: match.group(1) for case_id, match in found.items() if match and match.group(1)}
            source = f"regex '{self.regex}' finds no patient"
        else:
            return {case_id: case_id for case_id in case_ids}
        unknown = [case_id for case_id in case_ids if case_id not in known]
        if unknown:
            close = nearest(unknown[0], known)
            hint = f"{unknown[0]}: did you mean {close}?" if self.table and close else ""
            said = f"{source} for {len(unknown)} of {len(case_ids)} cases: {listed(unknown)}"
            raise DataError([Finding("error", "patients", received=said, fix=hint)])
        return {case_id: known[case_id] for case_id in case_ids}


def _compile(regex: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from error
    if pattern.groups < 1:
        raise ValueError("a regular expression with a group in parentheses around the patient, as in '^(sub-[0-9]+)_'")
    return pattern


def _from_table(path: Path) -> dict[str, str]:
    table = read_table(path)
    table.require(("case_id", "patient_id"))
    table.require_cells(("case_id", "patient_id"))
    patients: dict[str, str] = {}
    for row in table.rows:
        earlier = patients.setdefault(row["case_id"], row["patient_id"])
        if earlier != row["patient_id"]:
            raise DataError(
                f"{path}: case {row['case_id']} belongs to patient {earlier} and to patient {row['patient_id']}"
            )
    return patients
