"""The family of sources, and the checks that every cohort passes before anybody reads a voxel."""

from collections import Counter
from collections.abc import Iterable, Sequence

from hilum.case import Case, Cohort, ImageRef
from hilum.errors import DataError
from hilum.formats.reading import read_header
from hilum.registry import Component

SHOWN = 5
"""How many of many faults a message names."""

PARTS = ("train", "val", "test")
"""The official parts that a source may know."""


class SourceConfig(Component, family="sources"):
    """Where cases come from."""

    @property
    def makes_files(self) -> bool:
        """Whether `cohort` would first write files (generate or download them), which a check with faults leaves."""
        return False

    def cohort(self, task_kind: str) -> Cohort:
        """All cases for a task ("segmentation": labels are masks, "classification": labels are texts).

        Reads tables and checks that the files are there; voxels stay unread. Raises DataError.
        """
        raise NotImplementedError(f"{type(self).__name__} must define cohort(task_kind)")


def make_cohort(
    cases: Sequence[Case], *, channels: Sequence[str], notes: Sequence[str] = (), origin: object = ""
) -> Cohort:
    """The cohort, once its ids are unique and its files exist.

    Raises DataError naming what is not; `origin` says where it came from.
    """
    if not cases:
        raise DataError(f"{origin}: holds no case")
    twice = [case_id for case_id, count in Counter(case.id for case in cases).items() if count > 1]
    if twice:
        raise DataError(
            f"{origin}: case ids must be unique, found more than once: {listed(twice)}; "
            "where they are file names, name a column of ids instead (`id:` of csv_table)"
        )
    require_files(cases, origin=origin)
    return Cohort(tuple(cases), tuple(channels), tuple(notes))


def require_files(cases: Iterable[Case], *, origin: object) -> None:
    """Raise one DataError for all files that are missing."""
    refs = (ref for case in cases for ref in (*case.files, case.label) if isinstance(ref, ImageRef))
    missing = [str(path) for path in dict.fromkeys(ref.path for ref in refs) if not path.exists()]
    if missing:
        raise DataError(f"{origin}: {len(missing)} of the files that it names do not exist: {listed(missing)}")


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
