"""What the page of `hilum view` asks for: the list, and each case's image, truth and prediction by its number."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.case import ImageRef
from hilum.formats.reading import read_header, read_image, read_mask
from hilum.pipeline.pictures import painted
from hilum.pipeline.viewing.gathered import Gathered, Viewed
from hilum.pipeline.viewing.on_demand import Labels, OnDemand
from hilum.report.page.palette import DARK_PALETTE, hue
from hilum.report.page.wording import score_name
from hilum.report.viewer.volumes import COLOURS, as_nifti, outlined
from hilum.volume import Grid, Volume

VIEW_ACROSS = {2: 0, 1: 1, 0: 2}
"""NiiVue's number of the plane (axial, coronal, sagittal) that a volume of one voxel along an axis lies in."""
LARGEST_WHOLE = 2**15 - 1


class ShownCases:
    """The cases of a folder for the page; the image that was read last stays in memory."""

    def __init__(self, gathered: Gathered, on_demand: OnDemand | None = None) -> None:
        self._gathered, self._on_demand = gathered, on_demand
        self._lock = threading.Lock()
        self._read: tuple[int, Volume] | None = None

    def listing(self) -> Mapping[str, Any]:
        """All cases in the order of their numbers, the classes with their colours, flags and parts."""
        gathered = self._gathered
        score = gathered.score
        cases = [self._line(index, one) for index, one in enumerate(gathered.cases)]
        scored = score is not None and any(one["scored"] for one in cases)
        return {
            "name": gathered.name,
            "about": gathered.about,
            "parts": list(dict.fromkeys(one.part for one in gathered.cases if one.part)),
            "part": gathered.part,
            "score": {"name": score.name, "better": score.better} if score is not None and scored else None,
            "classes": self._classes(),
            "flags": sorted({flag for one in gathered.cases for flag in one.flags}),
            "cases": cases,
            "lacking": dict(gathered.lacking),
        }

    def about(self, case: int) -> Mapping[str, Any]:
        """Channels, form, and scores of a case; of its image the header alone is read."""
        one = self._one(case)
        grid = read_header(one.case.files[0]).grid
        picture = grid.unit != "mm"
        thin = [axis for axis, size in enumerate(grid.canonical().shape) if size == 1]
        flat = 0 if picture and grid.shape[2] == 1 else VIEW_ACROSS[thin[-1]] if len(thin) == 1 else None
        columns = [column for column in self._gathered.columns if any(column in row for row in one.rows)]
        rows = (
            []
            if one.shares
            else [
                {
                    "name": row.get("class"),
                    "status": row.get("status"),
                    "values": [_finite(row.get(name)) for name in columns],
                }
                for row in one.rows
            ]
        )
        return {
            "channels": self._channels(one, picture=picture),
            "picture": picture,
            "flat": flat,
            "columns": [score_name(column) for column in columns],
            "rows": rows,
            "reasons": list(one.reasons),
            "shares": [{"name": name, "value": value} for name, value in one.shares.items()],
        }

    def image(self, case: int, channel: int) -> bytes:
        """One channel as NIfTI, of a picture in colour all three. Raises LookupError for another channel."""
        one, volume = self._one(case), self._volume(case)
        values = volume.tensor.numpy()
        if len(self._channels(one, picture=volume.grid.unit != "mm")) == 1 and len(values) == COLOURS:
            return as_nifti(values, volume.grid)
        return as_nifti(_smallest(values[channel]), volume.grid)

    def labels(self, case: int, layer: str) -> bytes:
        """Truth or prediction as NIfTI: the number of the structure at each voxel, 0 for none."""
        return as_nifti(*self._labels(case, layer))

    def outline(self, case: int, layer: str) -> bytes:
        """The voxels at the edges of truth or prediction as NIfTI."""
        labels, grid = self._labels(case, layer)
        return as_nifti(outlined(labels), grid)

    def middle(self, case: int, layer: str) -> Mapping[str, Any]:
        """The structures' voxel that is nearest to their centre, in millimetres; None where there are none."""
        labels, grid = self._labels(case, layer)
        inside = np.argwhere(labels > 0)
        if not len(inside) or grid.unit != "mm":
            return {"mm": None}
        nearest = inside[np.argmin(((inside - inside.mean(axis=0)) ** 2).sum(axis=1))]
        return {"mm": (grid.affine @ [*nearest, 1.0])[:3].tolist()}

    def progress(self, case: int) -> Mapping[str, str]:
        """How far the prediction of a case is; asking begins it."""
        one = self._one(case)
        if one.mask is not None:
            return {"state": "ready", "message": ""}
        if self._on_demand is None:
            return {"state": "failed", "message": self._gathered.lacking["prediction"]}
        return self._on_demand.progress(case)

    def _one(self, case: int) -> Viewed:
        return self._gathered.cases[case]

    def _line(self, index: int, one: Viewed) -> Mapping[str, Any]:
        """A case as the list has it."""
        segments = self._gathered.problem.kind == "segmentation"
        label = one.case.label if isinstance(one.case.label, str) else ""
        told = f"{label}, called {one.predicted}" if label and one.predicted else one.predicted or label
        counts = {status: sum(row.get("status") == status for row in one.rows) for status in ("missed", "invented")}
        return {
            "index": index,
            "id": one.case.id,
            "patient": one.case.patient,
            "part": one.part,
            "score": one.score(self._gathered.score),
            "scored": bool(one.rows),
            "flags": list(one.flags),
            "remarks": [*([told] if told else []), *(f"{count} {name}" for name, count in counts.items() if count)],
            "label": label,
            "predicted": one.predicted,
            "truth": segments and isinstance(one.case.label, ImageRef),
            "prediction": segments and (one.mask is not None or self._on_demand is not None),
        }

    def _classes(self) -> list[Mapping[str, Any]]:
        problem = self._gathered.problem
        if problem.kind != "segmentation":
            return []
        tints = [DARK_PALETTE[hue(index) - 1] for index in range(len(problem.foreground))]
        return [
            {"name": name, "rgb": [int(tint[place : place + 2], 16) for place in (1, 3, 5)]}
            for name, tint in zip(problem.foreground, tints, strict=True)
        ]

    def _channels(self, one: Viewed, *, picture: bool) -> list[str]:
        names = self._gathered.problem.channels
        there = [names[index] if index < len(names) else str(index) for index in one.case.there]
        if len(one.case.files) > 1:
            return there
        return ["colour"] if picture and len(names) == COLOURS else [*names]

    def _volume(self, case: int) -> Volume:
        with self._lock:
            if self._read is None or self._read[0] != case:
                self._read = (case, read_image(self._one(case).case.files))
            return self._read[1]

    def _labels(self, case: int, layer: str) -> tuple[Labels, Grid]:
        one = self._one(case)
        ref = one.case.label if layer == "truth" else one.mask
        if isinstance(ref, ImageRef):
            mask = read_mask(ref)
            return painted(mask.tensor[0].numpy(), self._gathered.problem), mask.grid
        if layer == "truth" or self._on_demand is None:
            raise LookupError(layer)
        return self._on_demand.labels(case)


def _smallest(values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Whole numbers as 16 bits, which halves what is sent; others as they are."""
    if np.abs(values).max() <= LARGEST_WHOLE and np.array_equal(values, np.rint(values)):
        return values.astype(np.int16)
    return values


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None
