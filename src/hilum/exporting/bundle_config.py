"""MONAI's configuration of an exported network: hilum's steps by the transforms of MONAI that are nearest to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hilum.exporting.bundle_decisions import answering
from hilum.exporting.decisions import AS_THEY_ARE, Decisions
from hilum.exporting.description import describe_step, label_type, written
from hilum.inference.windows import PADDING, SIGMA_SHARE

if TYPE_CHECKING:
    from hilum.inference.predictor import Predictor

Config = dict[str, Any]
PROBABILITIES = "probabilities"
"""What is added to the name of a file that holds them."""

IMPORTS = (
    *("$import glob", "$import json", "$import math", "$import os", "$import numpy as np", "$import torch"),
    "$from monai.data import MetaTensor",
    "$from monai.networks.layers import gaussian_1d",
    "$from monai.networks.layers import separable_filtering",
)
SMOOTH = (
    "$lambda x: separable_filtering(x[None], [kernel / kernel.sum() for kernel in [gaussian_1d(torch.tensor("
    "max(1e-3, math.sqrt(max(0.0, ratio**2 - 1) / (8 * math.log(2))))), 4.0, 'sampled') for ratio in {ratios}]], "
    "mode='replicate')[0]"
)
"""hilum's smoothing where voxels become larger by `ratios`, which MONAI's resampling lacks; 1e-3 voxels do nothing."""
GRID = (
    "$lambda x: (lambda ratio: MetaTensor(torch.zeros(1, *[max(1, round(size / old)) for size, old in "
    "zip(x.shape[1:], ratio.tolist())]), affine=x.affine.matmul(torch.cat([torch.cat([torch.diag(ratio), "
    "(ratio[:, None] - 1) / 2], 1), torch.tensor([[0.0, 0.0, 0.0, 1.0]]).double()])), "
    "meta={{key: value for key, value in x.meta.items() if key != 'affine'}}))"
    "(torch.tensor([float(new) / float(old) if new else 1.0 for new, old in zip({new}, x.pixdim)]).double())"
)
"""An image on hilum's grid with voxels of a new size (0: as they are): from the outer corner of the first voxel on.

MONAI's own `Spacingd` keeps the centre of the first voxel instead, and often has one voxel more or less.
"""
ONE_CHANNEL = (
    "$lambda x: MetaTensor(x.as_tensor(), affine=x.affine, meta={**{key: value for key, value in x.meta.items() "
    "if key != 'affine'}, 'original_channel_dim': float('nan')})"
)
"""A label map that forgets how many channels its image had: MONAI 1.6 fails to save it otherwise."""


def inference_config(
    predictor: Predictor, decisions: Decisions = AS_THEY_ARE, *, probabilities: bool = False
) -> Config:
    """The content of configs/inference.json: a folder of NIfTI files in, label maps (or what is said of each) out.

    With `probabilities` those of a segmentation are written too, on the grid of the image.
    """
    segments = predictor.problem.kind == "segmentation"
    return {
        "imports": list(IMPORTS),
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "classes": list(predictor.problem.classes),
        "datalist": "$[{'image': file} for file in "
        "sorted(glob.glob(os.path.join(@dataset_dir, '**', '*.nii*'), recursive=True))]",
        "network_def": "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device).eval()",
        "preprocessing": _compose(_preprocessing(predictor)),
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "inferer": _inferer(predictor),
        **({"postprocessing": _compose(_postprocessing(predictor, probabilities))} if segments else {}),
        **answering(predictor.problem, decisions),
        "initialize": ["$torch.set_grad_enabled(False)", "$os.makedirs(@output_dir, exist_ok=True)"],
        "run": [_run_segmentation() if segments else _run_whole(predictor)],
    }


def _run_segmentation() -> str:
    return (
        "$[@postprocessing({**item, 'pred': MetaTensor(@temper(@inferer(item['image'].as_tensor()[None].to(@device),"
        " @network_def)[0]))}) and None for item in @dataset]"
    )


def _run_whole(predictor: Predictor) -> str:
    """Writes one JSON file an image: what is said of all of it; of a 2D network, from what is said of slices."""
    slices = 0 if predictor.problem.dims == 3 else 1 + (predictor.slice_axis or 0)
    stack = "item['image'].as_tensor()" + ("[None]" if slices == 0 else f".movedim({slices}, 0)")
    found = f"@temper(@pool(@inferer({stack}.to(@device), @network_def))).tolist()"
    name = "os.path.basename(item['image'].meta['filename_or_obj']).partition('.nii')[0] + '.json'"
    return f"$[open(os.path.join(@output_dir, {name}), 'w').write(json.dumps(@tell({found}))) for item in @dataset]"


def _compose(transforms: list[Config]) -> Config:
    return {"_target_": "Compose", "transforms": transforms}


def _on(target: str, key: str = "image", **settings: Any) -> Config:
    """A dictionary transform of MONAI."""
    return {"_target_": target, "keys": key, **settings}


def _preprocessing(predictor: Predictor) -> list[Config]:
    steps = [_on("LoadImaged", ensure_channel_first=True), _on("EnsureTyped", dtype="$torch.float32")]
    for step in predictor.prepare:
        steps += PREPARE[step.kind](describe_step(step))
    if predictor.window is None and predictor.multiple > 1:
        steps.append(_on("DivisiblePadd", k=predictor.multiple, method="symmetric", constant_values=PADDING))
    return steps


def _canonical(step: Config) -> list[Config]:
    del step
    return [_on("Orientationd", axcodes="RAS", labels=[["L", "R"], ["P", "A"], ["I", "S"]])]


def _spacing(step: Config) -> list[Config]:
    mm = [0.0 if size is None else size for size in step["mm"]]
    ratios = f"[new / float(old) for new, old in zip({mm}, x.pixdim)]"
    smooth = _on("Lambdad", func=SMOOTH.format(ratios=ratios))
    grid = [_on("CopyItemsd", names="grid"), _on("Lambdad", "grid", func=GRID.format(new=mm))]
    respace = _on("ResampleToMatchd", key_dst="grid", mode="bilinear", padding_mode="border")
    return [*grid, *([smooth] if step["antialias"] else []), respace, _on("DeleteItemsd", "grid")]


def _resize(step: Config) -> list[Config]:
    size = [*step["size"], -1][:3]  # MONAI leaves an axis as it is where its size is negative
    ratios = f"[old / new if new > 0 else 1.0 for old, new in zip(x.shape[1:], {size})]"
    smooth = _on("Lambdad", func=SMOOTH.format(ratios=ratios))
    resize = _on("Resized", spatial_size=size, mode="trilinear", align_corners=False)
    return [*([smooth] if step["antialias"] else []), resize]


def _crop_foreground(step: Config) -> list[Config]:
    bright = f"$lambda x: x > {step['threshold']!r}"
    return [
        _on(
            "CropForegroundd",
            source_key="image",
            select_fn=bright,
            margin=step["margin_voxels"],
            allow_smaller=True,
        )
    ]


def _window(step: Config) -> list[Config]:
    return [_on("ScaleIntensityRanged", a_min=step["low"], a_max=step["high"], b_min=0.0, b_max=1.0, clip=True)]


def _percentiles(step: Config) -> list[Config]:
    ends = {"lower": step["low"], "upper": step["high"], "b_min": 0.0, "b_max": 1.0}
    return [_on("ScaleIntensityRangePercentilesd", **ends, clip=True, channel_wise=True)]


def _zscore(step: Config) -> list[Config]:
    return [_on("NormalizeIntensityd", nonzero=step["nonzero"], channel_wise=True)]


def _dataset_zscore(step: Config) -> list[Config]:
    low, high, mean, std = (
        f"torch.tensor({[found[name] for found in step['fitted']]}).reshape(-1, 1, 1, 1)"
        for name in ("low", "high", "mean", "std")
    )
    return [_on("Lambdad", func=f"$lambda x: (torch.minimum(torch.maximum(x, {low}), {high}) - {mean}) / {std}")]


PREPARE: dict[str, Callable[[Config], list[Config]]] = {
    "canonical": _canonical,
    "spacing": _spacing,
    "resize": _resize,
    "crop_foreground": _crop_foreground,
    "window": _window,
    "percentiles": _percentiles,
    "zscore": _zscore,
    "dataset_zscore": _dataset_zscore,
}
"""The transforms of MONAI for each preparation step."""


def _inferer(predictor: Predictor) -> Config:
    if predictor.window is None:
        return {"_target_": "SimpleInferer"}
    blending = {"overlap": predictor.overlap, "mode": "gaussian", "sigma_scale": SIGMA_SHARE, "cval": PADDING}
    windows = {"roi_size": list(predictor.window), "sw_batch_size": predictor.batch_size, **blending}
    if predictor.problem.dims == 3:
        return {"_target_": "SlidingWindowInferer", **windows}
    return {"_target_": "SliceInferer", "spatial_dim": predictor.slice_axis or 0, **windows}


def _postprocessing(predictor: Predictor, probabilities: bool) -> list[Config]:
    values, members = written(predictor.problem)
    likely = f"$lambda x: torch.einsum('vr,r...->v...', torch.tensor({members}, dtype=x.dtype), torch.logit(x, 1e-6))"
    return [
        _on("Invertd", "pred", transform="@preprocessing", orig_keys="image", nearest_interp=False, device="cpu"),
        *([_on("Lambdad", "pred", func=ONE_CHANNEL)] if predictor.problem.num_channels > 1 else []),
        *([_saved(PROBABILITIES, "float32")] if probabilities else []),
        *([] if predictor.problem.exclusive else [_on("Lambdad", "pred", func=likely)]),
        _on("AsDiscreted", "pred", argmax=True),
        _on("MapLabelValued", "pred", orig_labels=list(range(len(values))), target_labels=values),
        _saved("", label_type(values)),
    ]


def _saved(postfix: str, dtype: str) -> Config:
    return _on(
        "SaveImaged",
        "pred",
        output_dir="@output_dir",
        output_postfix=postfix,
        output_dtype=f"$np.{dtype}",
        separate_folder=False,
        resample=False,
    )
