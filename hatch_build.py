"""Part of every build: unpacks NiiVue, which draws the volumes of `hilum view`, into the package."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE, VERSION = "@niivue/niivue", "0.69.0"
INTEGRITY = "sha512-YMjQvJgD1W2b7DuoxkwlC4VxbrgIePRJ5qyQzXKxi2v2MBVg285P/CIQyg46oDDGDIcaNlbd+MhtO/edMbXJkA=="
"""The hash of the package's archive: another content under the same version is refused."""
FOLDER = Path("src", "hilum", "report", "viewer")
SCRIPT, LICENSE = FOLDER / "niivue.umd.js", FOLDER / "niivue.license.txt"
ARCHIVE = "HILUM_NIIVUE"
"""Environment variable: the archive that `npm pack @niivue/niivue@0.69.0` makes, for builds without a network."""


class NiivueHook(BuildHookInterface[Any]):
    """Puts NiiVue's script and its licence beside the page that loads it, once for each version."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Unpack NiiVue; where it cannot be had, warn and build without: all but `hilum view` works then."""
        root = Path(self.root)
        if (root / SCRIPT).is_file() and _first_line(root / LICENSE) == f"{PACKAGE} {VERSION}":
            return
        try:
            with tempfile.TemporaryDirectory() as folder:
                unpack(archive(Path(folder)), root)
        except (OSError, KeyError, subprocess.SubprocessError, tarfile.TarError) as error:
            self.app.display_warning(f"{PACKAGE} {VERSION} was not unpacked, hilum view will not work: {error}")


def archive(folder: Path) -> Path:
    """The package's archive: the one that is named in the environment, or fetched by npm into a folder.

    Raises OSError or SubprocessError where it cannot be had.
    """
    if named := os.environ.get(ARCHIVE):
        return Path(named)
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError(f"there is no npm on this machine; install it, or name an archive in {ARCHIVE}")
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", str(folder), "--fetch-retries=1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    return next(folder.glob("*.tgz"))


def unpack(file: Path, root: Path) -> None:
    """Write the script and its licence from the archive. Raises OSError for an archive of other content."""
    content = file.read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != INTEGRITY:
        raise OSError(f"{file.name} has the hash {found}, expected {INTEGRITY}")
    with tarfile.open(file) as packed:
        script, terms = (_member(packed, name) for name in ("package/dist/niivue.umd.js", "package/LICENSE"))
    (root / SCRIPT).write_bytes(script)
    (root / LICENSE).write_bytes(f"{PACKAGE} {VERSION}\n\n".encode() + terms)


def _member(packed: tarfile.TarFile, name: str) -> bytes:
    stream = packed.extractfile(name)
    if stream is None:
        raise KeyError(f"{name} is no file")
    return stream.read()


def _first_line(file: Path) -> str:
    return file.read_text(encoding="utf-8").partition("\n")[0] if file.is_file() else ""
