"""`hilum view`: shows the cases of a folder in the browser until it is interrupted."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hilum.pipeline.viewing.gathered import Gathered
from hilum.pipeline.viewing.on_demand import OnDemand
from hilum.pipeline.viewing.shown import ShownCases
from hilum.pipeline.viewing.sources import gather
from hilum.report.viewer.assets import refuse_without_niivue
from hilum.report.viewer.server import Server

Say = Callable[[str], None]


def view(  # noqa: PLR0913 (each is an option of the command)
    folder: Path | str,
    *,
    predictions: Path | str | None = None,
    part: str | None = None,
    overrides: Sequence[str] = (),
    port: int = 0,
    browser: bool = True,
    say: Say = print,
) -> None:
    """Show images, truth and prediction of a run, or of a folder of predictions, in a browser until Ctrl-C.

    The address that is printed works on this machine alone. What has no prediction is predicted when it is looked at;
    `predictions` is a folder of masks to show instead. `part` is shown first, `overrides` say where the data are now.
    Nothing is written. Raises CheckpointError for a folder that is neither, DataError where the images are gone,
    ConfigError where NiiVue is not installed or the port is taken.
    """
    refuse_without_niivue()
    masks = None if predictions is None else Path(predictions)
    gathered = gather(Path(folder), predictions=masks, part=part, overrides=overrides)
    with serving(gathered, port=port, say=say) as server:
        say(f"{server.address}  (this machine only; Ctrl-C ends it)")
        if browser and _has_screen():
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("ended")


@contextmanager
def serving(gathered: Gathered, *, port: int = 0, say: Say = print) -> Iterator[Server]:
    """A server of these cases, ready to serve; closed at the end, and what it kept on the disk removed."""
    with TemporaryDirectory(prefix="hilum-view-") as kept:
        cases = [one.case for one in gathered.cases]
        network = gathered.network
        asked = None if network is None else OnDemand(network, cases, folder=Path(kept), say=say)
        with Server(ShownCases(gathered, asked), port) as server:
            yield server


def _has_screen() -> bool:
    """Whether there is a screen that a browser could open on: without one it would take over the terminal."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
