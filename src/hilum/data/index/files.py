"""Files as the disk has them, before anything of them is read: empty, not to be opened, or used twice."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from hilum.case import Case, ImageRef
from hilum.errors import Finding


def unusable_file(ref: ImageRef, case: str) -> Finding | None:
    """Why a file that is there cannot be opened, or None where it can or where it is not there."""
    try:
        found = ref.path.stat()
    except (OSError, ValueError):
        return None  # the source has told, or reading the header will
    mode, kind, fix = stat.filemode(found.st_mode), "", ""
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        kind, received, fix = "not a file", f"a device, pipe or socket ({mode})", "name an image file"
    elif not os.access(ref.path, os.R_OK | (os.X_OK if stat.S_ISDIR(found.st_mode) else 0)):
        kind, received, fix = "no permission", f"mode {mode}", "make it readable: chmod u+r"
    elif stat.S_ISREG(found.st_mode) and found.st_size == 0:
        kind, received, fix = "empty file", "0 bytes", "copy the file anew"
    else:
        return None
    return Finding("error", kind, case, str(ref), received=received, fix=fix)


def shared_files(cases: Iterable[Case]) -> Iterator[Finding]:
    """Files that stand for two cases, two channels, or image and mask; links are followed.

    What is plain from the names alone (all images of two cases the same, a mask named as its image) the sources tell.
    """
    owners: dict[tuple[str, str | None, int | None], Case] = {}
    for case in cases:
        images = {_identity(ref): ref for ref in case.files}
        if len(images) < len(set(case.files)):
            yield Finding(
                "error",
                "one file, several channels",
                case.id,
                str(case.files[-1]),
                received="a link to the image of another channel",
                expected="an image for each",
                fix="name another file or column",
            )
        mask = case.label if isinstance(case.label, ImageRef) else None
        if mask is not None and _identity(mask) in images and mask not in case.files:
            fix = "name the mask's file or column"
            yield Finding("error", "image is its own mask", case.id, str(mask), received="a link to it", fix=fix)
        for identity, ref in (images | ({_identity(mask): mask} if mask is not None else {})).items():
            owner = owners.setdefault(identity, case)
            if owner is not case and owner.files != case.files:
                yield _shared(owner, case, ref)


def _shared(owner: Case, case: Case, ref: ImageRef) -> Finding:
    leaks = owner.patient != case.patient
    return Finding(
        "error" if leaks else "warning",
        "one file, several patients" if leaks else "one file, several cases",
        case.id,
        str(ref),
        received=f"the file of case {owner.id} too" + (f" (patients {owner.patient}, {case.patient})" if leaks else ""),
        expected="a file for each case",
        fix="correct the name of the file, or keep one of the cases",
    )


def _identity(ref: ImageRef) -> tuple[str, str | None, int | None]:
    return os.path.realpath(ref.path), ref.key, ref.index
