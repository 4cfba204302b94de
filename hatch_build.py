"""Part of every build: unpacks NiiVue, which draws the volumes of `hilum view`, into the package."""

from __future__ import annotations

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
MEMBER = "package/dist/niivue.umd.js"
SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"
"""The hash of that file: another content under the same version is refused."""
SCRIPT = Path("src", "hilum", "report", "viewer", "niivue.umd.js")
ARCHIVE = "HILUM_NIIVUE"
"""Environment variable: the archive that `npm pack @niivue/niivue@0.69.0` makes, for builds without a network."""


class NiivueHook(BuildHookInterface[Any]):
    """Puts NiiVue's script beside the page that loads it, once for each version."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Unpack NiiVue; where it cannot be had, warn and build without: all but `hilum view` works then."""
        root = Path(self.root)
        script = root / SCRIPT
        if script.is_file() and hashlib.sha256(script.read_bytes()).hexdigest() == SHA256:
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
    """Write the script that an archive holds. Raises KeyError or OSError where it holds none, or another one."""
    with tarfile.open(file) as packed:
        stream = packed.extractfile(MEMBER)
        content = b"" if stream is None else stream.read()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise OSError(f"{MEMBER} of {file.name} has the hash {found}, expected {SHA256}")
    (root / SCRIPT).write_bytes(content)
