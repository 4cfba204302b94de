"""What this machine can do: versions, devices, memory, disk, and the folders of prepared cases."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from pathlib import Path

from hilum import __version__
from hilum.data.cache import TAG, contents, is_marked, prune
from hilum.data.hashes import Hashes
from hilum.data.parallel import usable_cores
from hilum.errors import DataError
from hilum.hardware import devices
from hilum.runtime import RuntimeConfig

GIB = 2**30
Section = dict[str, str]


def examine(caches: tuple[Path, ...]) -> dict[str, Section]:
    """What there is, by section: each line is a name and words. Changes nothing."""
    runtime = RuntimeConfig().start(alone=True)
    sections = {
        "versions": {"hilum": __version__, "python": platform.python_version(), **_versions()},
        "machine": {
            "system": platform.platform(),
            **devices(),
            "usable": f"{usable_cores()} cores, {_free_memory_bytes() / GIB:.1f} GiB of memory free",
            "auto": f"device {runtime.device}, precision {runtime.precision}",
        },
    }
    return sections | {f"cache {folder}": described_cache(folder) for folder in caches}


def described_cache(folder: Path) -> Section:
    """How many prepared cases a folder holds, how large they are, what else there is, and when they were used."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = {"free on its disk": _size(shutil.disk_usage(there).free)}
    if not folder.is_dir():
        return {"prepared cases": "none yet: there is no such folder", **free}
    found = contents(folder)
    section = {"prepared cases": f"{len(found.cases)}, {_size(sum(entry.num_bytes for entry in found.cases))}"}
    if found.cases:
        section["used"] = f"first {_when(found.cases[0].used_s)}, last {_when(found.cases[-1].used_s)}"
    if found.remembered:
        size = _size(sum(entry.num_bytes for entry in found.remembered))
        section["looks and fitted settings"] = f"{len(found.remembered)}, {size}"
    if found.leftovers:
        size = _size(sum(entry.num_bytes for entry in found.leftovers))
        section["incomplete files"] = f"{len(found.leftovers)}, {size}: being written, or left by a run that was killed"
    return section | {"bound": "data.cache_gb of each run (50 unless set): the longest unused go first"} | free


def clear(folder: Path, *, keep_gb: float | None = None) -> str:
    """Delete what killed runs left and, beyond `keep_gb`, what was not used for longest; says what was done.

    Raises DataError where there is no such folder, or for one that hilum did not make.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of prepared cases; name it with --cache FOLDER")
    if not is_marked(folder):
        raise DataError(
            f"{folder}: has no {TAG} of hilum, so it was not made to hold prepared cases alone: nothing was deleted; "
            "name another folder with --cache FOLDER, or delete by hand what is not needed"
        )
    gone = prune(folder, bound_bytes=None if keep_gb is None else int(keep_gb * GIB))
    forgotten = Hashes(folder).forget_missing()
    size = _size(sum(entry.num_bytes for entry in gone))
    return f"{folder}: deleted {len(gone)} files ({size}), forgot {forgotten} hashes of files that are gone"


def _versions() -> Section:
    """The version of each library that hilum needs, and the one it was tested with where that is another."""
    tested = _tested()
    lines = {}
    for requirement in importlib.metadata.requires("hilum") or []:
        name, separator, _ = requirement.partition(";")
        if not separator:  # a requirement of an extra has a condition
            name = re.split(r"[<>=!~\[ ]", name, maxsplit=1)[0]
            lines[name] = _against(name, tested)
    return lines


def _against(name: str, tested: Mapping[str, str]) -> str:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing: install hilum again"
    known = tested.get(name.lower().replace("_", "-"))
    return version if known in (None, version.partition("+")[0]) else f"{version} (tested with {known})"


def _tested() -> dict[str, str]:
    """The versions that were tested together, from the installed package or from the repository in development."""
    installed = resources.files("hilum") / "constraints.txt"
    file = installed if installed.is_file() else Path(__file__).parents[3] / "constraints.txt"
    if not file.is_file():
        return {}
    pins = [line.partition("==") for line in file.read_text(encoding="utf-8").splitlines()]
    return {name.lower().replace("_", "-"): version for name, separator, version in pins if separator}


def _free_memory_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def _size(num_bytes: int) -> str:
    return f"{num_bytes / GIB:.2f} GiB" if num_bytes >= GIB / 10 else f"{num_bytes / 2**20:.1f} MiB"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).isoformat(" ", "minutes")
