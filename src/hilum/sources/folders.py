"""Cases from the way files lie in folders: by class, images and masks side by side, or a folder for each case."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from pydantic import model_validator

from hilum.case import Case, Cohort, ImageRef, natural_order
from hilum.errors import DataError, Finding, nearest
from hilum.formats.reading import is_image
from hilum.sources.base import SourceConfig, channel_names, listed, make_cohort
from hilum.sources.files import PART_FOLDERS, id_of, images_in, images_under, match, part_of, subfolders, unread, walk
from hilum.sources.patients import PatientsConfig


@dataclass(frozen=True)
class Found:
    """Cases without their patients, and what is odd about the files."""

    cases: list[Case]
    findings: list[Finding]


class FoldersConfig(SourceConfig, kind="folders"):
    """Images in folders: one a class (classification), images beside masks, or one a case (segmentation)."""

    root: Path
    """The folder of the data set, relative to the current folder; train, val and test in it are official parts."""
    patients: PatientsConfig
    """How patients are known: folders do not say."""
    images: str = "images"
    """Segmentation: the folder of images."""
    masks: str | None = "masks"
    """Segmentation: the folder of masks, which are called like their images, but for words such as _mask or _seg; or
    of the images that a restoration wants, and null where data.degrade makes its input from the images themselves."""
    channels: dict[str, str] | None = None
    """A folder for each case: each channel's name and the pattern of its file, as in {flair: '*_flair.nii.gz'}."""
    label: str | None = None
    """A folder for each case: the pattern of the mask, as in '*_seg.nii.gz'."""

    @model_validator(mode="after")
    def _label_with_channels(self) -> Self:
        if (self.channels is None) != (self.label is None):
            raise ValueError(
                "channels and label together, for a folder a case, or neither of them"
                f" (received {'label' if self.channels is None else 'channels'} alone)"
            )
        if self.channels is not None and not self.channels:
            raise ValueError("at least one channel and its pattern")
        # By value, since a resolved configuration writes every default out.
        defaults = {name: type(self).model_fields[name].default for name in ("images", "masks")}
        changed = [name for name, default in defaults.items() if getattr(self, name) != default]
        if self.channels is not None and changed:
            raise ValueError(f"either channels and label, or images and masks (received channels and {changed[0]})")
        for pattern in (*(self.channels or {}).values(), *([self.label] if self.label else [])):
            if not pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                raise ValueError(f"patterns of files inside the case's folder (received '{pattern}')")
        return self

    def cohort(self, task_kind: str) -> Cohort:
        """The labelled images, in natural order of their names, which are their folders and files joined by `_`.

        Images without a mask are left out with a warning. Raises DataError for everything else that does not match.
        """
        if not self.root.is_dir():
            raise DataError(f"{self.root}: no such folder")
        if task_kind in ("segmentation", "restoration"):
            found = self._case_folders() if self.channels else self._pairs() if self.masks else self._alone()
        elif self.channels:
            raise DataError(f"{self.root}: channels and label are for masks; for classes use a table (csv_table)")
        else:
            found = self._classes()
        errors = [finding for finding in found.findings if finding.severity == "error"]
        if not found.cases and errors:
            raise DataError(errors)
        assigned = self.patients.assign([case.id for case in found.cases], folder=self.root)
        cases = [replace(case, patient=assigned[case.id]) for case in found.cases]
        cohort = make_cohort(
            cases,
            channels=tuple(self.channels or ()),
            notes=self.patients.notes,
            origin=self.root,
            findings=found.findings,
        )
        return cohort if self.channels else replace(cohort, channels=channel_names(cases[0].files[0]))

    def _classes(self) -> Found:
        parts = [folder for folder in subfolders(self.root) if folder.name.lower() in PART_FOLDERS]
        others = [folder for folder in subfolders(self.root) if parts and folder not in parts and images_under(folder)]
        findings = []
        if parts and others:
            findings.append(
                Finding(
                    "error",
                    "parts beside classes",
                    file=str(self.root),
                    received=f"{listed([folder.name for folder in (*parts, *others)])} side by side",
                    expected="either folders of classes, or folders of parts (train, val, test) with classes in them",
                    fix="move them, or use a table (csv_table)",
                )
            )
        cases = []
        for base in parts or [self.root]:
            findings += [
                Finding("error", "no class", file=str(ref), expected="an image in the folder of its class")
                for ref in images_in(base)
            ]
            for folder in subfolders(base):
                cases += [
                    _case(ref, self.root, label=folder.name, part=part_of([base.name]) if parts else None)
                    for ref in images_under(folder)
                ]
                findings += unread(folder)
        if not cases:
            findings.append(
                Finding("error", "no image", file=str(self.root), expected="a folder for each class with images in it")
            )
        return Found(cases, findings)

    def _alone(self) -> Found:
        """Images without masks."""
        cases = []
        for images, _ in self._places():
            outer = images.parent.relative_to(self.root).parts
            for name, ref in _named(images).items():
                part = part_of(outer) or part_of(Path(name).parts[:-1])
                cases.append(Case("_".join((*outer, *Path(name).parts)), "", (ref,), None, part))
        return Found(cases, [])

    def _pairs(self) -> Found:
        places = self._places()
        cases: list[Case] = []
        findings: list[Finding] = []
        for images, masks in places:
            outer = images.parent.relative_to(self.root).parts
            found, drawn = _named(images), _named(masks)
            matched = match(found, drawn)
            for name, ref in found.items():
                names = matched[name]
                if len(names) == 1:
                    part = part_of(outer) or part_of(Path(name).parts[:-1])
                    case_id = "_".join((*outer, *Path(name).parts))
                    cases.append(Case(case_id, "", (ref,), drawn[names[0]], part))
                else:
                    findings.append(_unmatched(ref, [drawn[other] for other in names], masks, drawn))
            findings += [*_left_over(drawn, matched, found, images), *unread(images), *unread(masks)]
        return Found(cases, findings)

    def _places(self) -> list[tuple[Path, Path]]:
        """Folders of images and masks: in the root, or in each of its folders of parts. Raises DataError for none."""
        parts = [folder for folder in subfolders(self.root) if folder.name.lower() in PART_FOLDERS]
        bases = [base for base in [self.root, *parts] if (base / self.images).is_dir()]
        if not bases:
            inner = [folder.name for base in [self.root, *parts] for folder in subfolders(base)]
            close = nearest(self.images, inner)
            hint = f"did you mean '{close}'? " if close else ""
            raise DataError(
                f"{self.root}: no folder '{self.images}' (setting images); {hint}there are {listed(inner) or 'none'}"
            )
        masks = self.masks or self.images
        absent = [base for base in bases if not (base / masks).is_dir()]
        if absent:
            inner = [folder.name for folder in subfolders(absent[0])]
            raise DataError(
                f"{absent[0]}: no folder '{masks}' (setting masks) beside '{self.images}'; there are {listed(inner)}"
            )
        return [(base / self.images, base / masks) for base in bases]

    def _case_folders(self) -> Found:
        cases: list[Case] = []
        findings: list[Finding] = []
        patterns: Mapping[str, str] = {**(self.channels or {})}
        inside: set[Path] = set()
        for folder in walk(self.root):
            if folder == self.root or folder.parent in inside:
                inside |= {folder} if folder.parent in inside else set()
                continue
            chosen = {name: _chosen(folder, pattern) for name, pattern in patterns.items()}
            masks = _chosen(folder, str(self.label))
            if not any(chosen.values()):
                if masks or images_in(folder):
                    findings.append(_no_channel(folder, patterns))
                continue
            inside.add(folder)
            for name, refs in {**chosen, "label": masks}.items():
                if len(refs) > 1:
                    findings.append(_ambiguous(folder, name, {**patterns, "label": str(self.label)}[name], refs))
            if not masks:
                findings.append(_no_mask(folder, str(self.label)))
                continue
            outer = folder.relative_to(self.root).parts
            images = tuple(refs[0] if refs else None for refs in chosen.values())
            metadata = {"folder": "/".join(outer[:-1])} if len(outer) > 1 else {}
            cases.append(Case("_".join(outer), "", images, masks[0], part_of(outer[:-1]), metadata))
        return Found(sorted(cases, key=lambda case: natural_order(case.id)), findings)


def _case(ref: ImageRef, root: Path, *, label: str, part: str | None) -> Case:
    return Case(id_of(ref, root), "", (ref,), label, part)


def _named(folder: Path) -> dict[str, ImageRef]:
    """The images under a folder by the folders in it and their names without suffix, as in a/b.

    Raises DataError where two files differ by their suffix only.
    """
    found: dict[str, ImageRef] = {}
    findings = []
    for ref in images_under(folder):
        inner = ref.path.relative_to(folder)
        name = "/".join((*inner.parent.parts, id_of(ref, ref.path.parent)))
        earlier = found.setdefault(name, ref)
        if earlier is not ref:
            findings.append(
                Finding("error", "same name", "", str(ref), f"the name of {earlier.path.name}", "one file a name")
            )
    if findings:
        raise DataError(findings)
    return found


def _unmatched(ref: ImageRef, masks: Sequence[ImageRef], folder: Path, drawn: Mapping[str, ImageRef]) -> Finding:
    """What is said of an image that has no mask (it is left out), or several."""
    if masks:
        named = listed([mask.path.name for mask in masks])
        return Finding("error", "several masks", "", str(ref), named, "one mask", "keep one, or join them into one")
    close = nearest(ref.path.name, [mask.path.name for mask in drawn.values()][:1000])
    hint = f"; the nearest is {close}" if close else ""
    return Finding(
        "warning", "no mask", "", str(ref), f"none of its name in {folder}{hint}", "a mask", "it is left out"
    )


def _left_over(
    drawn: Mapping[str, ImageRef], matched: Mapping[str, list[str]], found: Mapping[str, ImageRef], images: Path
) -> Iterator[Finding]:
    """Masks that no image has: somebody drew them, so an image is missing or misspelt."""
    used = {name for names in matched.values() for name in names}
    for name, ref in drawn.items():
        if name not in used:
            close = nearest(ref.path.name, [image.path.name for image in found.values()][:1000])
            hint = f"; the nearest is {close}" if close else ""
            received = f"no image of its name in {images}{hint}"
            yield Finding("error", "mask without image", "", str(ref), received, "an image", "rename or remove it")


def _chosen(folder: Path, pattern: str) -> list[ImageRef]:
    """The images in a folder that a pattern fits, in natural order."""
    return [ImageRef(path) for path in sorted(folder.glob(pattern), key=natural_order) if is_image(path)]


def _ambiguous(folder: Path, name: str, pattern: str, refs: Sequence[ImageRef]) -> Finding:
    files = listed([ref.path.name for ref in refs])
    expected = f"one file for {name}, pattern '{pattern}'"
    return Finding("error", "ambiguous pattern", folder.name, str(folder), files, expected, "make it more exact")


def _no_channel(folder: Path, patterns: Mapping[str, str]) -> Finding:
    expected = f"one of {', '.join(patterns.values())}"
    return Finding("warning", "no channel", folder.name, str(folder), "other images", expected, "it is left out")


def _no_mask(folder: Path, pattern: str) -> Finding:
    expected = f"a mask like '{pattern}'"
    return Finding("warning", "no mask", folder.name, str(folder), "none", expected, "it is left out")
