"""Prediction as MONAI's tutorials write it: dictionary transforms, its sliding window, its inverse, its writer.

usage: monai_predict.py SCENE.json    which says what to read, how to prepare, by what network, and where to write
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from same_network import trained_network


def preparation(steps: list[dict[str, Any]]) -> Any:
    """MONAI's transforms for hilum's steps."""
    from monai import transforms

    made = [transforms.LoadImaged("image"), transforms.EnsureChannelFirstd("image")]
    for step in steps:
        if step["kind"] == "canonical":
            made.append(transforms.Orientationd("image", axcodes="RAS", labels=None))
        elif step["kind"] == "spacing":
            made.append(transforms.Spacingd("image", pixdim=step["mm"], mode="bilinear"))
        elif step["kind"] == "zscore":
            made.append(transforms.NormalizeIntensityd("image"))
        else:
            low, high = step["low"], step["high"]
            made.append(transforms.ScaleIntensityRanged("image", low, high, 0.0, 1.0, clip=True))
    return transforms.Compose(made)


def finishing(prepare: Any, out: Path) -> Any:
    """Back onto the grid of the file, decided, and written."""
    from monai import transforms

    return transforms.Compose(
        [
            transforms.Invertd("pred", transform=prepare, orig_keys="image", nearest_interp=False, to_tensor=True),
            transforms.AsDiscreted("pred", argmax=True),
            transforms.SaveImaged(
                "pred", output_dir=out, output_postfix="", separate_folder=False, resample=False, print_log=False
            ),
        ]
    )


def main(scene: dict[str, Any]) -> None:
    """Predict every volume."""
    from monai.data import DataLoader, Dataset, decollate_batch
    from monai.inferers import sliding_window_inference

    prepare = preparation(scene["prepare"])
    finish, network = finishing(prepare, Path(scene["out"])), trained_network(**scene["network"])
    files = [{"image": file} for file in scene["files"]]
    with torch.no_grad():
        for batch in DataLoader(Dataset(files, prepare), batch_size=1, num_workers=1):
            batch["pred"] = sliding_window_inference(
                batch["image"], scene["window"], predictor=network, **scene["windows"]
            )
            for one in decollate_batch(batch):
                finish(one)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
