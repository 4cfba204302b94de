"""The charts of a page as SVG and PNG files, and those of an evaluated part in TensorBoard too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from hilum.errors import DataError
from hilum.formats.atomic import write_whole
from hilum.report.page.cases import CasePictures
from hilum.report.page.document import sections
from hilum.report.page.files import read_files
from hilum.report.page.raster import as_png
from hilum.report.page.scored import Scored
from hilum.report.page.shell import charts_of
from hilum.run import Run, write_text
from hilum.tracking.tensorboard import TensorBoard

Say = Callable[[str], None]

FIGURES_NAME = "figures"


def write_charts(folder: Path, charts: Iterable[tuple[str, str]], *, prefix: str = "") -> dict[str, bytes]:
    """The PNG of each chart by its name, after writing all as SVG and PNG into `folder`/figures.

    A chart that lies there already is not drawn again. Raises DataError where they cannot be written.
    """
    pictures = {}
    for name, svg in charts:
        drawing, picture = (folder / FIGURES_NAME / f"{prefix}{name}.{suffix}" for suffix in ("svg", "png"))
        if not (drawing.is_file() and picture.is_file() and drawing.read_text(encoding="utf-8") == svg):
            _write_bytes(picture, as_png(svg))
            write_text(drawing, svg)  # last: where it is, its picture is, too
        pictures[name] = picture.read_bytes()
    return pictures


def draw_charts(run: Run, part: str, *, epoch: int, say: Say) -> None:
    """Write the charts of an evaluated part of a run, and show them in TensorBoard at the epoch of its network.

    With them goes the picture of its worst, median and best cases. What is no run, as other data are, is left alone.
    """
    if not run.config.is_file():
        return
    found = sections(Scored(read_files(run.folder), part), CasePictures())
    pictures = write_charts(run.folder, charts_of(found), prefix=f"{part}_")
    cases = run.folder / f"cases_{part}.png"
    if cases.is_file():
        pictures["cases"] = cases.read_bytes()
    with TensorBoard(run.tensorboard, say=say) as board:
        board.pictures({f"{part}/{name}": content for name, content in pictures.items()}, epoch=epoch)


def show_charts(folder: Path, pictures: Mapping[str, bytes], *, group: str, say: Say) -> None:
    """Show the charts of a page in TensorBoard, in `folder`/tensorboard: for pages that are not those of a run."""
    with TensorBoard(folder / "tensorboard", say=say) as board:
        board.pictures({f"{group}/{name}": content for name, content in pictures.items()}, epoch=0)


def _write_bytes(file: Path, content: bytes) -> None:
    try:
        write_whole(file, content)
    except OSError as error:
        raise DataError(f"{file} cannot be written: {error.strerror}") from error
