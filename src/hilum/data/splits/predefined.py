"""The division that comes with the data, or with a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hilum.case import Case
from hilum.data.splits.base import PARTS, Part, Split, SplitConfig, read_split_table, received_part
from hilum.errors import SplitError


class PredefinedConfig(SplitConfig, kind="predefined"):
    """The official division of the source (its part column or arrays), or of a table case_id, part."""

    file: Path | None = None
    """A CSV table with the columns case_id and part; such as the split.csv of a run."""

    def assign(self, cases: Sequence[Case], *, labels: Mapping[str, str]) -> Split:
        """The given split. Raises SplitError for cases without a part, unknown parts and shared patients."""
        if self.file is None:
            given = {case.id: case.part for case in cases if case.part}
            hint = "this source has no parts of its own: give data.split.file"
        else:
            given = {row["case_id"]: row["part"] for row in read_split_table(self.file, ("case_id", "part")).rows}
            hint = f"add them to {self.file}"
        without = [case.id for case in cases if case.id not in given]
        if without:
            raise SplitError(f"{len(without)} cases have no part, such as {', '.join(without[:3])}; {hint}")
        wrong = next((part for part in given.values() if part not in PARTS), None)
        if wrong is not None:
            raise SplitError(received_part(wrong))
        parts: dict[Part, tuple[Case, ...]] = {
            part: tuple(case for case in cases if given[case.id] == part) for part in PARTS
        }
        return Split(parts, notes=self._absent(set(given) - {case.id for case in cases}))

    def _absent(self, ids: set[str]) -> tuple[str, ...]:
        """The note on cases that the table names and the data do not have."""
        if not ids:
            return ()
        return (f"{len(ids)} cases of {self.file} are not in the data, such as {', '.join(sorted(ids)[:3])}",)
