"""The files that the page of `hilum view` is made of, and NiiVue, which is unpacked when hilum is built."""

from __future__ import annotations

from importlib import resources

from hilum.errors import ConfigError
from hilum.report.page.palette import variables

NIIVUE = "niivue.umd.js"
NIIVUE_VERSION = "0.69.0"


def page() -> str:
    """The HTML of the page, with the colours of hilum's reports."""
    return asset("viewer.html").decode().replace("/* colours */", variables())


def asset(name: str) -> bytes:
    """A file that lies beside this module."""
    return (resources.files("hilum.report.viewer") / name).read_bytes()


def refuse_without_niivue() -> None:
    """Raise ConfigError where the library that draws volumes was not there when hilum was installed."""
    file = resources.files("hilum.report.viewer") / NIIVUE
    if not file.is_file():
        raise ConfigError(
            f"NiiVue {NIIVUE_VERSION}, which draws the volumes, was not unpacked when this hilum was installed, for "
            "want of npm or of a network: install npm and run `make setup` (or install hilum again), or take "
            f"dist/{NIIVUE} out of the npm package @niivue/niivue {NIIVUE_VERSION} and put it at {file}"
        )
