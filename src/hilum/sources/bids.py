"""Folders in the Brain Imaging Data Structure: participants, their sessions, and masks in derivatives."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from hilum.case import Case, Cohort, ImageRef, natural_order
from hilum.errors import DataError, Finding, nearest
from hilum.settings import Settings
from hilum.sources.base import SourceConfig, listed, make_cohort
from hilum.sources.bids_names import BidsName, Wanted, agrees, image_files, parse_wanted, read_name, shared_out
from hilum.sources.bids_people import People, read_people
from hilum.sources.files import subfolders

Session = tuple[str, str]
"""A participant and a session, as in (sub-01, ses-2); the session is empty where there is none."""

Runs = dict[str, list[BidsName]]
"""Images by run; an empty text where the name has no run."""


def _checked(text: str) -> str:
    parse_wanted(text)
    return text


Spec = Annotated[str, AfterValidator(_checked)]
"""A BIDS suffix, after any entities: T1w, acq-hires_T1w."""


class BidsMask(Settings):
    """Which files are the masks."""

    derivative: str | None = None
    """Folder under derivatives; null where the masks lie among the images."""
    suffix: str = "mask"
    """BIDS suffix of the masks: mask, dseg."""
    desc: str | None = None
    """The entity desc of the masks, as in desc-lesion."""
    entities: dict[str, str] = Field(default_factory=dict)
    """Any other entities of the masks, as in {label: lesion, space: T1w}."""

    @property
    def wanted(self) -> Wanted:
        """What the masks are called."""
        return Wanted(self.suffix, self.entities | ({"desc": self.desc} if self.desc else {}))


class BidsConfig(SourceConfig, kind="bids"):
    """A BIDS data set (Gorgolewski et al. 2016): every participant is a patient, every session or run a case."""

    root: Path
    """The folder that holds the participants' folders, relative to the current folder."""
    suffix: Spec | None = None
    """BIDS suffix of the images, after any entities: T1w, acq-hires_T1w."""
    channels: Annotated[dict[str, Spec], Field(min_length=1)] | None = None
    """Several images a case: each channel's name and its suffix, as in {t1: T1w, flair: FLAIR}."""
    label: str | BidsMask | None = None
    """The masks (segmentation), or a column of participants.tsv or of the tables of sessions (classification)."""
    datatype: str = "anat"
    """The folder of the images within a session."""

    @model_validator(mode="after")
    def _suffix_or_channels(self) -> Self:
        if (self.suffix is None) == (self.channels is None):
            received = "neither" if self.suffix is None else "both"
            raise ValueError(
                f"either suffix, such as T1w, or channels, such as {{t1: T1w, flair: FLAIR}} (received {received})"
            )
        return self

    def cohort(self, task_kind: str) -> Cohort:
        """A case for each session and run, in natural order; a channel without a file is a missing modality.

        A file without a run belongs to all runs of its session. Cases without a label are left out with a warning.
        Raises DataError for names, tables or choices that are not clear.
        """
        self._check_task(task_kind)
        findings: list[Finding] = []
        found = _by_session(image_files(self.root, self.datatype), findings)
        if not found:
            raise DataError(f"{self.root}: no images in sub-*/{self.datatype} or sub-*/ses-*/{self.datatype}")
        people = read_people(self.root, [participant for participant, _ in found])
        if isinstance(self.label, str):
            people.require(self.label)
        masks = self._masks(findings)
        cases = [
            self._described(case, people, findings)
            for who in sorted(found, key=natural_order)
            for case in self._cases(who, found[who], masks.get(who, ()), findings)
        ]
        if not cases:
            suffixes = sorted({name.suffix for names in found.values() for name in names})
            wanted = ", ".join(map(str, self._wanted.values()))
            raise DataError(f"{self.root}: no image of {wanted}; the suffixes are {', '.join(suffixes)}")
        kept = [case for case in cases if case.label is not None or self.label is None]
        findings += people.strangers(case.patient for case in cases)
        return make_cohort(kept, channels=tuple(self._wanted), origin=self.root, findings=findings)

    @property
    def _wanted(self) -> dict[str, Wanted]:
        named = self.channels or {"image": str(self.suffix)}
        return {name: parse_wanted(text) for name, text in named.items()}

    def _check_task(self, task_kind: str) -> None:
        if not self.root.is_dir():
            raise DataError(f"{self.root}: no such folder")
        masked = task_kind in ("segmentation", "restoration")
        if masked and isinstance(self.label, str):
            raise DataError(f"{self.root}: label is a column, expected masks, as in {{derivative: NAME, desc: lesion}}")
        if not masked and isinstance(self.label, BidsMask):
            raise DataError(f"{self.root}: label names masks, expected a column of participants.tsv")

    def _masks(self, findings: list[Finding]) -> dict[Session, list[BidsName]]:
        """The files that may be masks, by session. Raises DataError for a derivative that is not there."""
        if not isinstance(self.label, BidsMask):
            return {}
        folder = self.root
        if self.label.derivative is not None:
            folder = self.root / "derivatives" / self.label.derivative
            if not folder.is_dir():
                outer = self.root / "derivatives"
                there = [path.name for path in subfolders(outer)] if outer.is_dir() else []
                close = nearest(self.label.derivative, there)
                hint = f"did you mean '{close}'? " if close else ""
                raise DataError(f"{folder}: no such folder; {hint}there are {listed(there) or 'no derivatives'}")
        return _by_session(image_files(folder, self.datatype), findings)

    def _cases(
        self, who: Session, names: Sequence[BidsName], masks: Sequence[BidsName], findings: list[Finding]
    ) -> Iterator[Case]:
        """The cases of a session, one for each run, with their masks."""
        chosen = [_by_run(found) for found in shared_out(names, self._wanted.values())]
        drawn = _by_run(self.label.wanted.choose(masks)) if isinstance(self.label, BidsMask) else {}
        for run in _runs(chosen):
            case_id = "_".join([part for part in who if part] + ([f"run-{run}"] if run else []))
            images = tuple(_pick(found, run, case_id, findings) for found in chosen)
            label = _pick(drawn, run, case_id, findings)
            if isinstance(self.label, BidsMask) and label is None:
                expected = f"a mask {self.label.wanted}"
                findings.append(Finding("warning", "no mask", case_id, "", "none", expected, "it is left out"))
            yield Case(case_id, who[0], images, label, None, {"session": who[1]} if who[1] else {})

    def _described(self, case: Case, people: People, findings: list[Finding]) -> Case:
        """The case with what the tables say, and its class if a column has it."""
        cells = people.cells(case.patient, case.metadata.get("session", ""))
        if not isinstance(self.label, str):
            return replace(case, metadata={**cells, **case.metadata})
        label = cells.pop(self.label, "") or None
        if label is None:
            expected = f"a class in column '{self.label}'"
            findings.append(Finding("warning", "no class", case.id, "", "none", expected, "it is left out"))
        return replace(case, label=label, metadata={**cells, **case.metadata})


def _by_session(files: Sequence[Path], findings: list[Finding]) -> dict[Session, list[BidsName]]:
    """The images of each session; names that do not follow BIDS or their folders are added to the findings."""
    found: dict[Session, list[BidsName]] = defaultdict(list)
    for path in files:
        name = read_name(path)
        if name is None:
            expected = "entities and a suffix, as in sub-01_T1w.nii.gz"
            findings.append(Finding("warning", "no BIDS name", "", str(path), path.name, expected, "it is left out"))
        elif not agrees(name):
            expected = "the participant and session of the folders"
            findings.append(Finding("error", "wrong folder", "", str(path), path.name, expected, "move or rename it"))
        else:
            session = name.entities.get("ses")
            found[f"sub-{name.entities['sub']}", f"ses-{session}" if session else ""].append(name)
    return found


def _by_run(names: Sequence[BidsName]) -> Runs:
    found: Runs = defaultdict(list)
    for name in names:
        found[name.entities.get("run", "")].append(name)
    return found


def _runs(chosen: Sequence[Runs]) -> list[str]:
    """The runs that a session has: the numbered ones, and one without number where nothing else is there."""
    numbered = {run for found in chosen for run in found if run}
    bare = any("" in found and len(found) > 1 for found in chosen) or (not numbered and any(chosen))
    return sorted(numbered | ({""} if bare else set()), key=natural_order)


def _pick(found: Runs, run: str, case_id: str, findings: list[Finding]) -> ImageRef | None:
    """The one image of a run; one without run belongs to all. Several are added to the findings."""
    names = found.get(run) or (found.get("", []) if len(found) == 1 else [])
    if len(names) > 1:
        received = listed([name.path.name for name in names])
        fix = "name an entity that tells them apart, as in acq-hires_T1w"
        findings.append(Finding("error", "ambiguous image", case_id, str(names[0].path.parent), received, "one", fix))
    return ImageRef(names[0].path) if names else None
