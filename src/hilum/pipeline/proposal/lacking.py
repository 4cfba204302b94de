"""What to say where nothing can be learnt from a data set: the images that there are, and what they lack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.base import Header
from hilum.formats.reading import read_header
from hilum.sources.files import images_in, walk
from hilum.sources.layout import recognise
from hilum.sources.layout_masks import is_mask

LISTED = 20
"""How many images without labels are listed."""
FOLDERS = 2000
"""The folder above is looked at where it has fewer folders in it than this."""
NEEDED = """needed, one of
  images/ and masks/ side by side, with the same names in both
  a folder for each case, with its images and its mask under the same names in all of them
  a folder for each class, with its images
  a table beside the images, such as cases.csv, with a row for each case:
    image,label,patient_id"""


@dataclass(frozen=True)
class Lying:
    """An image as it lies there; `header` is text where it cannot be read."""

    ref: ImageRef
    header: Header | str
    is_mask: bool = False

    def __str__(self) -> str:
        if isinstance(self.header, str):
            return f"  {self.ref}: cannot be read ({self.header})"
        grid, facts = self.header.grid, self.header.facts
        what = f"{' x '.join(map(str, grid.shape))} voxels"
        what += f" of {' x '.join(f'{step:.3g}' for step in grid.spacing)} mm" if grid.unit == "mm" else ""
        what += f", {self.header.frames} volumes (4-D)" if self.header.frames > 1 else ""
        known = [facts[key] for key in ("modality", "description") if facts.get(key)]
        return f"  {self.ref}: " + ", ".join([what, self.header.stored, *known, *["may be a mask"] * self.is_mask])


def what_is_needed(data: Path) -> list[str]:
    """Lines for a person: the first images, what they lack, and the folder above where it has what they lack."""
    above = _above(data)
    if above is not None:
        return [f"  but {data.absolute().parent} is a data set ({above}): hilum new {data.absolute().parent}"]
    found = list(islice(_images(data), LISTED + 1)) if data.is_dir() else []
    lines = [*map(str, found[:LISTED]), *["  ..."] * (len(found) > LISTED)]
    rows = [f"    {image},{mask},PATIENT" for image, mask in _pairs(data, found)]
    return [*lines, NEEDED, *(rows or ["    scan1.nii.gz,scan1_mask.nii.gz,PATIENT"])]


def _above(data: Path) -> str | None:
    """What the folder above says of the data set that these images are a part of."""
    parent = data.absolute().parent
    if len(list(islice(walk(parent), FOLDERS))) == FOLDERS:
        return None
    for layout in recognise(parent):
        file = layout.settings.get("file")
        around = Path(file).parent if file else Path(layout.settings.get("root", ""))
        if layout.trainable and around == parent:
            return layout.evidence
    return None


def _images(data: Path) -> Iterator[Lying]:
    for folder in walk(data):
        try:
            yield from map(_lying, images_in(folder))
        except DataError as error:
            yield Lying(ImageRef(folder), " ".join(str(error).split()))


def _lying(ref: ImageRef) -> Lying:
    try:
        header = read_header(ref)
    except DataError as error:
        return Lying(ref, " ".join(str(error).split()))
    return Lying(ref, header, header.frames == 1 and is_mask(ref))


def _pairs(data: Path, found: Sequence[Lying]) -> Iterator[tuple[Path, Path]]:
    """Masks, each with the image beside it on the same grid whose name is most like its own."""
    for mask in found:
        near = [each for each in found if _may_belong(each, mask)]
        if near:
            image = max(near, key=lambda each: _alike(each.ref.path.name, mask.ref.path.name))
            yield image.ref.path.relative_to(data), mask.ref.path.relative_to(data)


def _alike(one: str, other: str) -> int:
    """How many letters two names begin with in common."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


def _may_belong(image: Lying, mask: Lying) -> bool:
    """Whether `mask` is one, and the other an image beside it on the same grid."""
    if isinstance(image.header, str) or isinstance(mask.header, str) or image.is_mask or not mask.is_mask:
        return False
    beside = image.ref.path.parent == mask.ref.path.parent and image.header.frames == 1
    return beside and image.header.grid.matches(mask.header.grid)
