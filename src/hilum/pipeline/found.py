"""All that is found wrong or odd with a configuration and its data, each at the key of the YAML file to look at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hilum.data.findings import arranged, counted, grouped, severe, strict, text_of
from hilum.data.splits.base import SHARED
from hilum.errors import ConfigError, DataError, Fault, Finding, HilumError
from hilum.yaml_text import Document, Location

KEYS: dict[str, Location] = {
    "label values without a class": ("task", "classes"),
    "class unknown": ("task", "classes"),
    "class without a case": ("task", "classes"),
    "does not fit": ("data",),
    "unusable case": ("data",),
    "duplicate in two parts": ("data", "split"),
    SHARED: ("data", "split"),
}
"""The key that a kind of finding belongs to; all others belong to the source."""
SOURCE: Location = ("data", "source")


@dataclass
class Found:
    """Faults of the configuration and findings about the data; with `strict`, every warning counts as an error."""

    document: Document
    faults: list[Fault]
    strict: bool = False
    findings: list[Finding] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> None:
        """Take further findings in, each once."""
        new = strict(findings) if self.strict else findings
        self.findings = arranged([*self.findings, *new])

    def add_error(self, error: HilumError) -> None:
        """Take in what an error says."""
        if isinstance(error, DataError) and error.findings:
            self.add(error.findings)
        else:
            self.faults += placed(error, self.document)

    @property
    def wrong(self) -> bool:
        """Whether there is any error."""
        return bool(self.faults or severe(self.findings))

    @property
    def all(self) -> list[Finding]:
        """The findings and, as findings, the faults of the configuration."""
        faults = [
            Finding("error", "configuration", file=fault.where, received=f"{fault.field}: {fault.message}")
            for fault in self.faults
        ]
        return [*faults, *self.findings]

    @property
    def warnings(self) -> list[Finding]:
        """The findings that are no errors."""
        return [finding for finding in self.findings if finding.severity == "warning"]

    def refuse(self) -> None:
        """Raise ConfigError with everything found where anything is an error."""
        if self.wrong:
            raise ConfigError(self.as_faults(), summary=self.summary)

    @property
    def summary(self) -> str:
        """How many errors and warnings there are; nothing where the configuration alone is at fault."""
        if not self.findings:
            return ""
        return counted([*self.findings, *(Finding("error", fault.message) for fault in self.faults)])

    def as_faults(self) -> list[Fault]:
        """All that was found: errors in the order of the lines of the YAML file, then warnings."""
        groups = grouped(self.findings)
        errors = [self._fault(group) for group in groups if group[0].severity == "error"]
        warnings = [self._fault(group) for group in groups if group[0].severity == "warning"]
        return [*sorted(dict.fromkeys([*self.faults, *errors]), key=line_number), *warnings]

    def _fault(self, group: Sequence[Finding]) -> Fault:
        where = KEYS.get(group[0].kind, SOURCE)
        if where == ("task", "classes") and "regions" in (self.document.data.get("task") or {}):
            where = ("task", "regions")
        return self.document.fault(where, text_of(group))


def placed(error: HilumError, document: Document) -> list[Fault]:
    """The faults of an error that arose beyond the file, each at the key that it names, or else at the data."""
    given = (
        error.faults if isinstance(error, ConfigError) else [Fault("", "data", line) for line in str(error).split("\n")]
    )
    result = []
    for fault in given:
        named = re.match(r"([a-z_]+(?:\.\w+)*): (.*)", fault.message, re.DOTALL) if not fault.field else None
        key, message = (named[1], named[2]) if named else (fault.field, fault.message)
        location = tuple(int(part) if part.isdecimal() else part for part in key.split(".")) if key else ()
        result.append(document.fault(location, message))
    return result


def line_number(fault: Fault) -> tuple[bool, int]:
    """What faults are sorted by: the line, overrides last."""
    number = fault.where.rpartition(":")[2]
    return (fault.where.startswith("command line"), int(number) if number.isdecimal() else 0)
