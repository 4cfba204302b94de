"""The division that comes with the data, or with a table."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from hilum.case import Case
from hilum.data.splits.base import PARTS, Part, Split, SplitConfig
from hilum.errors import SplitError, nearest


class PredefinedConfig(SplitConfig, kind="predefined"):
    """The official division of the source (its part column or arrays), or of a table case_id, part."""

    file: Path | None = None
    """A CSV table with the columns case_id and part; such as the split.csv of a run."""

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The given split. Raises SplitError for cases without a part, unknown parts and shared patients."""
        given = {case.id: case.part for case in cases} if self.file is None else self._table(self.file)
        without = [case.id for case in cases if not given.get(case.id)]
        if without:
            hint = (
                "this source has no parts of its own: give data.split.file"
                if self.file is None
                else f"add them to {self.file}"
            )
            raise SplitError(f"{len(without)} cases have no part, such as {', '.join(without[:3])}; {hint}")
        wrong = sorted({str(part) for part in given.values()} - set(PARTS))
        if wrong:
            close = nearest(wrong[0], PARTS)
            raise SplitError(
                f"received part '{wrong[0]}', expected train, val or test"
                + (f"; did you mean '{close}'?" if close else "")
            )
        parts: dict[Part, tuple[Case, ...]] = {
            part: tuple(case for case in cases if given[case.id] == part) for part in PARTS
        }
        return Split(parts)

    def _table(self, file: Path) -> dict[str, str | None]:
        if not file.is_file():
            raise SplitError(f"data.split.file {file}: no such file")
        with file.open(newline="", encoding="utf-8-sig") as table:
            rows = list(csv.DictReader(table))
        columns = set(rows[0]) if rows else set()
        if not {"case_id", "part"} <= columns:
            raise SplitError(f"{file} has the columns {sorted(columns)}, expected case_id and part")
        return {row["case_id"]: row["part"] for row in rows}
