"""Predicts the cases of a run's part with and without predict.skip_air; prints windows, time and what labels change.

usage: skip_air.py RUN [--part val] [--limit N] [--pad VOXELS]

Start it where the run was started, so that its data are found. Each case is predicted twice from its prepared image:
`asked` are the windows that the network saw of all, `cores` the time of all cores together, `labels` the voxels that
differ, and Dice is the mean over the structures with the truth, both ways. `--pad` puts so many voxels of the darkest
percentile behind each image along its last axis, as of a scan that goes far beyond the patient.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from time import process_time

import numpy as np
import torch

from hilum.case import ImageRef
from hilum.data.splits.base import restore as restore_split
from hilum.evaluation.confusion import Overlaps
from hilum.formats.reading import read_mask
from hilum.inference.air import DARKEST_PERCENT
from hilum.inference.predictor import Predictor
from hilum.pipeline.restore import restore
from hilum.run import open_run
from hilum.volume import Grid, Volume


def padded(image: Volume, voxels: int) -> Volume:
    """An image that goes on behind its last slice with nothing but air."""
    if not voxels:
        return image
    dark = torch.tensor(np.percentile(image.tensor.numpy(), DARKEST_PERCENT, axis=(1, 2, 3)), dtype=torch.float32)
    more = dark.view(-1, 1, 1, 1).expand(*image.tensor.shape[:3], voxels)
    shape = (*image.grid.shape[:2], image.grid.shape[2] + voxels)
    return Volume(torch.cat([image.tensor, more], 3), Grid(shape, image.grid.affine, image.grid.unit))


def labelled(predictor: Predictor, image: Volume) -> tuple[torch.Tensor, float, int]:
    """Labels (I, J, K), seconds of all cores, and windows that the network saw."""
    seen: list[int] = []
    handle = predictor.model.register_forward_hook(lambda module, images, logits: seen.append(len(images[0])))
    prepared = predictor.prepared(image)
    start = process_time()
    labels = predictor.labels(prepared, image.grid).tensor[0]
    seconds = process_time() - start
    handle.remove()
    return labels, seconds, sum(seen)


def main() -> None:
    """Print a line for each case, then the sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--part", default="val", choices=["train", "val", "test"])
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--pad", type=int, default=0)
    options = parser.parse_args()
    if options.run is None:
        print("needs a run folder: skip_air.py RUN")
        return
    run = open_run(options.run)
    restored = restore(run, ["predict.skip_air=true"])
    skipping = restored.predictor(restored.experiment.runtime.start(alone=True))
    cohort = restored.experiment.data.source.cohort(restored.problem.kind)
    cases = restore_split(run.split, cohort.cases, notes=()).part(options.part)[: options.limit]
    assert skipping.air is not None
    print("brighter than this is no air:", skipping.air.thresholds)
    rows = []
    for case in cases:
        assert isinstance(case.label, ImageRef)
        image, truth = skipping.read(case.images), read_mask(case.label).tensor[0].numpy()
        depth = image.grid.shape[2]
        image = padded(image, options.pad)
        all_labels, all_s, every = labelled(replace(skipping, air=None), image)
        labels, some_s, asked = labelled(skipping, image)
        dice = [
            float(np.mean(Overlaps.of(truth, found[:, :, :depth].numpy(), restored.problem).dice))
            for found in (all_labels, labels)
        ]
        changed = int((labels != all_labels).sum())
        rows.append((asked, every, some_s, all_s, changed, labels.numel(), *dice))
        print(
            f"{case.id:<24} asked {asked} of {every}  cores {some_s:.2f} of {all_s:.2f} s  "
            f"labels {changed} of {labels.numel()}  Dice {dice[0]:.4f} -> {dice[1]:.4f}",
            flush=True,
        )
    total = np.sum(rows, axis=0)
    print(
        f"all: asked {total[0]:.0f} of {total[1]:.0f} windows, cores {total[2]:.1f} of {total[3]:.1f} s, labels "
        f"{total[4]:.0f} of {total[5]:.0f}, mean Dice {total[6] / len(rows):.4f} -> {total[7] / len(rows):.4f}"
    )


if __name__ == "__main__":
    main()
