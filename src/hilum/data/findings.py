"""What is wrong or odd with data, put together: sorted, counted, as one table of text and as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path

from hilum.case import Case, ImageRef, natural_order
from hilum.errors import DataError, Finding, number_of
from hilum.formats.atomic import write_whole

SHOWN = 10
"""Up to so many findings of a kind the table has a line for each."""
NAMED = 3
"""Of more findings of a kind it names the first few; the CSV file has all."""

WIDTH = 60
"""Characters of a cell of the table, beyond which its middle is left out."""


def of_case(error: DataError, case: Case) -> list[Finding]:
    """The findings of an error that arose with a case, each naming it, and the file where the text begins with one."""
    if error.findings:
        return [replace(finding, case=finding.case or case.id) for finding in error.findings]
    text = str(error).removeprefix(f"case {case.id}: ")
    refs = [*case.files, *([case.label] if isinstance(case.label, ImageRef) else [])]
    for file in dict.fromkeys(name for ref in refs for name in (str(ref), str(ref.path))):
        if text.startswith(f"{file}: "):
            received, fix = text.removeprefix(f"{file}: "), "copy or convert the file anew, or leave the case out"
            return [Finding("error", "unreadable file", case.id, file, received=received, fix=fix)]
    return [Finding("error", "unusable case", case.id, fix=text)]


def severe(findings: Iterable[Finding]) -> list[Finding]:
    """Those that are errors."""
    return [finding for finding in findings if finding.severity == "error"]


def strict(findings: Iterable[Finding]) -> list[Finding]:
    """The same findings, every warning an error."""
    return [replace(finding, severity="error") for finding in findings]


def arranged(findings: Iterable[Finding]) -> list[Finding]:
    """Every finding once: errors first, then by kind in the order in which kinds were met, case and file."""
    unique = list(dict.fromkeys(findings))
    kinds = {kind: number for number, kind in enumerate(dict.fromkeys(finding.kind for finding in unique))}
    return sorted(
        unique, key=lambda finding: (finding.severity, kinds[finding.kind], natural_order(finding.case), finding.file)
    )


def counted(findings: Sequence[Finding]) -> str:
    """How many there are of each sort: "2 errors, 1 warning"."""
    errors = len(severe(findings))
    return f"{number_of(errors, 'error')}, {number_of(len(findings) - errors, 'warning')}"


def grouped(findings: Iterable[Finding]) -> list[tuple[Finding, ...]]:
    """The findings, those of one severity and kind together, errors first."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in arranged(findings):
        groups.setdefault((finding.severity, finding.kind), []).append(finding)
    return [tuple(group) for group in groups.values()]


def table(findings: Iterable[Finding]) -> str:
    """All findings as text, those of a kind together."""
    return "\n".join(text_of(group) for group in grouped(findings))


def as_csv(findings: Iterable[Finding]) -> str:
    """All findings as CSV text, a row each, under the names of the record."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = [field.name for field in fields(Finding)]
    writer.writerow(names)
    writer.writerows([getattr(finding, name) for name in names] for finding in arranged(findings))
    return stream.getvalue()


def write_csv(findings: Iterable[Finding], file: Path) -> None:
    """Write `as_csv` whole. Raises DataError where the file cannot be written."""
    try:
        write_whole(file, as_csv(findings).encode())
    except OSError as error:
        raise DataError(f"{file}: the table of findings cannot be written: {error.strerror}") from error


def text_of(group: Sequence[Finding]) -> str:
    """The findings of one kind: a line for a single one, else a heading and a line for each.

    Of more than SHOWN, NAMED are named, on one line where all say the same.
    """
    warning = "warning: " if group[0].severity == "warning" else ""
    if len(group) == 1:
        return f"{warning}{group[0]}"
    head = f"{warning}{group[0].kind} ({len(group)})"
    named = group if len(group) <= SHOWN else group[:NAMED]
    more = f"and {len(group) - NAMED} more (all of them: --table FILE)" if len(group) > SHOWN else ""
    same = {str(replace(finding, case="", file="")) for finding in group}
    if more and len(same) == 1:
        names = [_short(finding.case or Path(finding.file).name) for finding in named]
        cases = "cases " if group[0].case else ""
        return f"{head}: {cases}{', '.join(names)} {more}{same.pop().removeprefix(group[0].kind)}"
    fixes = list(dict.fromkeys(finding.fix for finding in group if finding.fix))
    lines = [f"{head}: {fixes[0]}" if len(fixes) == 1 else head]
    cells = [_cells(finding, with_fix=len(fixes) > 1) for finding in named]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width]
        if any(row):
            lines.append(f"    {'  '.join(padded)}".rstrip())
    return "\n".join([*lines, *([f"    {more}"] if more else [])])


def _cells(finding: Finding, *, with_fix: bool) -> list[str]:
    name = Path(finding.file).name if finding.file else ""
    said = [
        f"received {finding.received}" if finding.received else "",
        f"expected {finding.expected}" if finding.expected else "",
    ]
    case = f"case {finding.case}" if finding.case else ""
    return [_short(case), _short(name), ", ".join(part for part in said if part), finding.fix if with_fix else ""]


def _short(text: str) -> str:
    half = (WIDTH - 3) // 2
    return text if len(text) <= WIDTH else f"{text[:half]}...{text[-half:]}"
