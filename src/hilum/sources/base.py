"""The family of sources, and the checks that every cohort passes before anybody reads a voxel."""

import errno
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hilum.case import Case, Cohort, ImageRef
from hilum.errors import DataError, Finding, nearest
from hilum.formats.reading import read_header
from hilum.problem import Problem
from hilum.registry import Component
from hilum.sources.labels import DeclaredLabels
from hilum.sources.spelling import spelling_findings

SHOWN = 5
"""How many of many faults a message names."""

GUESSED = 20
"""For how many missing files the nearest name is looked for, which takes long in large folders."""

PARTS = ("train", "val", "test")
"""The official parts that a source may know."""

MISSING = ("nan", "none", "null", "nat", "na", "n/a", "<na>", "unknown", "?", "-", "--")
"""What tables and programs write where a patient is unknown."""


class SourceConfig(Component, family="sources"):
    """Where cases come from."""

    @property
    def makes_files(self) -> bool:
        """Whether `cohort` would first write files (generate or download them), which a check with faults leaves."""
        return False

    def declared_labels(self) -> DeclaredLabels | None:
        """The label values that the data set's own description names; None where it has none.

        Raises DataError where the description is broken.
        """
        return None

    def cohort(self, task_kind: str) -> Cohort:
        """All cases for a kind of task ("segmentation": labels are masks; else texts, or those of several columns).

        Reads tables and checks that the files are there; voxels stay unread. Raises DataError with all that is wrong.
        """
        raise NotImplementedError(f"{type(self).__name__} must define cohort(task_kind)")


def cohort_for(source: SourceConfig, problem: Problem) -> Cohort:
    """The source's cohort, with warnings where the data set describes other labels than the problem has."""
    cohort = source.cohort(problem.kind)
    declared = source.declared_labels() if problem.kind == "segmentation" else None
    return replace(cohort, findings=(*cohort.findings, *declared.findings(problem))) if declared else cohort


def make_cohort(
    cases: Sequence[Case],
    *,
    channels: Sequence[str],
    notes: Sequence[str] = (),
    origin: object = "",
    findings: Sequence[Finding] = (),
) -> Cohort:
    """The cohort, once its ids are unique and its files exist; warnings go with it.

    Raises DataError with everything that is wrong: the errors among `findings`, and those found here. `origin` says
    where the cases came from.
    """
    found = [
        *findings,
        *_id_findings(cases, origin),
        *_patient_findings(cases, origin),
        *_image_findings(cases),
        *_file_findings(cases),
    ]
    errors = [finding for finding in found if finding.severity == "error"]
    if not cases and not errors:
        raise DataError([Finding("error", "no case", file=str(origin), expected="at least one"), *findings])
    if errors:
        raise DataError(errors)
    found += [
        *spelling_findings((case.id for case in cases), "case"),
        *spelling_findings({case.patient for case in cases if case.patient != case.id}, "patient"),
    ]
    return Cohort(tuple(cases), tuple(channels), tuple(notes), tuple(found))


def _id_findings(cases: Sequence[Case], origin: object) -> Iterator[Finding]:
    """Ids that occur twice, and those that cannot name a file."""
    named: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        named[case.id].append(case)
    for case_id, several in named.items():
        if len(several) > 1:
            files = [str(ref) for case in several for ref in case.files[:1]]
            yield Finding(
                "error",
                "duplicate id",
                case=case_id,
                file=str(origin),
                received=f"{len(several)} cases of this id ({listed(files)})",
                expected="ids that are unique",
                fix="where ids are file names, name a column of ids instead (`id:` of csv_table)",
            )
        if "/" in case_id or "\\" in case_id or case_id in ("", ".", ".."):
            yield Finding(
                "error",
                "unusable id",
                case=case_id,
                file=str(origin),
                expected="an id without slashes, since it names files",
                fix="write another id",
            )


def _patient_findings(cases: Sequence[Case], origin: object) -> Iterator[Finding]:
    """Patients whose id is a word for a missing one: they may be anybody, also somebody of another part."""
    if len({case.patient for case in cases}) < 2:
        return
    for case in cases:
        if case.patient != case.id and case.patient.strip().casefold() in MISSING:
            yield Finding(
                "error",
                "no patient id",
                case=case.id,
                file=str(origin),
                received=f"'{case.patient}'",
                expected="the id of a patient",
                fix="fill it in, or take the case out: it may be of any patient",
            )


def _image_findings(cases: Sequence[Case]) -> Iterator[Finding]:
    """Cases without any image, and images that stand for several patients, several cases, or their own mask."""
    owners: dict[tuple[ImageRef, ...], list[Case]] = defaultdict(list)
    for case in cases:
        owners[case.files].append(case)
        if not case.files:
            yield Finding("error", "no image", case=case.id, received="all modalities missing", fix="take the case out")
        elif len({*case.files}) < len(case.files):
            yield Finding(
                "error", "one file, several channels", case=case.id, file=str(case.files[0]), fix="name each one's own"
            )
        elif case.label in case.files:
            yield Finding(
                "error",
                "image is its own mask",
                case=case.id,
                file=str(case.label),
                fix="name the mask's file or column",
            )
    for files, several in owners.items():
        if files and len(several) > 1:
            leaks = len({case.patient for case in several}) > 1
            yield Finding(
                "error" if leaks else "warning",
                "one file, several patients" if leaks else "one file, several cases",
                case=several[0].id,
                file=str(files[0]),
                received=f"the same image for the cases {listed([case.id for case in several])}",
                expected="a file for each case",
                fix="keep one of them" if leaks else "the image counts several times",
            )


def _file_findings(cases: Iterable[Case]) -> Iterator[Finding]:
    """A file that is named and missing, once each, with the nearest name that is there."""
    seen: set[Path] = set()
    folders: dict[Path, list[str]] = {}
    missing = 0
    for case in cases:
        for ref in (*case.files, case.label):
            if not isinstance(ref, ImageRef) or ref.path in seen:
                continue
            seen.add(ref.path)
            problem = absence(ref.path)
            if problem:
                missing += 1
                hint = _nearest_file(ref.path, folders) if missing <= GUESSED else None
                fix = f"did you mean '{hint}'?" if hint else ""
                yield Finding("error", "missing file", case=case.id, file=str(ref.path), received=problem, fix=fix)


def absence(path: Path) -> str:
    """Why a file or folder cannot be looked at, in words; empty where it can."""
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a symbolic link that leads back to itself"
        if error.errno == errno.EACCES:
            return "a folder that may not be entered (permission denied)"
        if path.is_symlink():
            return f"a symbolic link to {path.readlink()}, which does not exist"
        return "a path that does not exist" if error.errno in (errno.ENOENT, errno.ENOTDIR) else str(error)
    except ValueError as error:  # a null byte
        return str(error)
    return ""


def _nearest_file(path: Path, folders: dict[Path, list[str]]) -> str | None:
    if path.parent not in folders:
        try:
            folders[path.parent] = sorted(sibling.name for sibling in path.parent.iterdir())[:1000]
        except (OSError, ValueError):
            folders[path.parent] = []
    return nearest(path.name, folders[path.parent])


def channel_names(ref: ImageRef) -> tuple[str, ...]:
    """Names for the channels of images like this one: image, or red, green and blue."""
    count = read_header(ref).channels
    return {1: ("image",), 3: ("red", "green", "blue")}.get(count) or tuple(
        f"channel_{index}" for index in range(count)
    )


def listed(items: Sequence[str]) -> str:
    """The first few items and how many more there are."""
    more = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (f" and {more} more" if more > 0 else "")
