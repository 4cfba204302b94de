"""The errors hilum raises for what a user can mend, each with the exit code of the command that meets it.

HilumError (2)
|-- ConfigError       the YAML file or an override; carries every problem found
|-- DataError         a file, a table or its content
|-- SplitError        a patient in two parts, or a cohort that cannot be split as asked
|-- DeviceError       what this machine cannot do
|-- CheckpointError   a run folder or weights that cannot be used
|-- PluginError       a user's own component file
|-- TrainingError (4) a run that stopped and can be resumed
`-- OutputError (4)   a batch that stopped since its folder cannot be written; it goes on when it is started again
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal


class HilumError(Exception):
    """A mistake that the user can mend: what was received, what was expected, what to do."""

    exit_code = 2


@dataclass(frozen=True)
class Fault:
    """One problem of a configuration: where it stands, which field, and what is wrong with it."""

    where: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.field}: {self.message}" if self.field else f"{self.where}: {self.message}"


class ConfigError(HilumError):
    """Every problem found in a configuration, one line each; `summary` says how many, where they are not all errors."""

    def __init__(self, problem: str | Sequence[Fault], *, summary: str = "") -> None:
        self.summary = summary
        self.faults = (Fault("configuration", "", problem),) if isinstance(problem, str) else tuple(problem)
        super().__init__(problem if isinstance(problem, str) else "\n".join(str(fault) for fault in self.faults))


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (error) or odd (warning) with data, and what to do about it.

    `kind` is a short name for this sort of finding, the same for every case that has it: "grid differs".
    """

    severity: Literal["error", "warning"]
    kind: str
    case: str = ""
    file: str = ""
    received: str = ""
    expected: str = ""
    fix: str = ""

    def __str__(self) -> str:
        place = ": ".join(part for part in (f"case {self.case}" if self.case else "", self.file, self.kind) if part)
        values = [
            f"received {self.received}" if self.received else "",
            f"expected {self.expected}" if self.expected else "",
        ]
        said = ", ".join(value for value in values if value)
        return "; ".join(part for part in (f"{place}: {said}" if said else place, self.fix) if part)


class DataError(HilumError):
    """A file, a table or its content cannot be used; `findings` holds every single problem where there are several."""

    def __init__(self, problem: str | Sequence[Finding]) -> None:
        self.findings = () if isinstance(problem, str) else tuple(problem)
        super().__init__(problem if isinstance(problem, str) else "\n".join(str(finding) for finding in self.findings))


class SplitError(HilumError):
    """A split would put a patient into two parts, or cannot be made; `findings` names every such patient."""

    def __init__(self, problem: str, *, findings: Sequence[Finding] = ()) -> None:
        self.findings = tuple(findings)
        super().__init__(problem)


class DeviceError(HilumError):
    """This machine cannot do what the runtime section asks."""


class CheckpointError(HilumError):
    """A run folder or its weights cannot be used."""


class PluginError(HilumError):
    """A plugin file cannot be loaded."""


class TrainingError(HilumError):
    """Training stopped; the run folder holds the last good checkpoint."""

    exit_code = 4


class OutputError(HilumError):
    """The folder of outputs cannot be written any more; what lies in it is whole, and the same command goes on."""

    exit_code = 4


def number_of(count: int, noun: str) -> str:
    """1 case, 2 cases."""
    return f"{count} {noun}{'s' * (count != 1)}"


def nearest(word: str, options: Iterable[str]) -> str | None:
    """The option most like `word`, or None where none is near; capitals do not count where nothing else differs."""
    known = list(options)
    folded = {option.casefold(): option for option in known}
    if word.casefold() in folded:
        return folded[word.casefold()]
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        close = [folded[name] for name in difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)]
    return close[0] if close else None
