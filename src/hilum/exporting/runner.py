"""Runs a network that hilum exported on NIfTI images; needs numpy, nibabel, onnxruntime and the files beside it.

An image is a file, a folder of files, or the files of one case joined by commas, empty where a channel is missing.
The output folder gets, by case, a label map or a restored image on its grid, or a JSON file of what is said of it.
"""

import argparse
import itertools
import json
import math
from importlib import import_module
from pathlib import Path

import nibabel as nib
import numpy as np
import onnxruntime

MILLIMETRES = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
DENSE = ("segmentation", "restoration")  # tasks with an answer for every voxel
SAME_VOXELS = 1e-3  # grids that drift apart by less are one: headers hold float32


def read(names, spec):
    """Values (C, I, J, K), NaN where a channel is missing, their affine in mm, and the first file of the case."""
    images = {index: nib.load(name) for index, name in enumerate(names) if name}
    affines = [np.diag([*[MILLIMETRES[i.header.get_xyzt_units()[0]]] * 3, 1]) @ i.affine for i in images.values()]
    parts = [np.asarray(image.dataobj) for image in images.values()]
    parts = [np.moveaxis(part.reshape(*(*part.shape, 1)[:3], -1), -1, 0) for part in parts]
    shape = parts[0].shape[1:]
    drifts = [np.abs(np.linalg.solve(affines[0], other) - np.eye(4))[:3] @ (*shape, 1) for other in affines]
    there = np.concatenate(parts).astype(np.float32)
    if np.max(drifts) > SAME_VOXELS or not np.isfinite(there).all() or shape[2] < spec["dims"] - 1:
        raise ValueError("lies on several grids, has NaN or infinite voxels, or one slice where volumes are wanted")
    if len(there) + names.count("") != spec["channels"] or ("" in names and not spec["may_lack_channels"]):
        raise ValueError(f"has {len(there)} channels, the network takes {spec['channels']}")
    values = np.full((spec["channels"], *shape), np.nan, np.float32)
    values[list(images) if len(names) > 1 else slice(None)] = there if len(names) > 1 else there[spec["frames"]]
    return values, affines[0], next(iter(images.values()))


def sampled(values, affine, target, *, shape, antialias=False, outside=None):
    """Values (C, I, J, K) on a grid along the same axes, linear; beyond the image its border, or `outside` (C,)."""
    index_map = np.linalg.solve(affine, target)
    axes = nib.io_orientation(index_map)[:, 0].astype(int)
    values = values.transpose(0, *(axes + 1))
    for axis in sorted(range(3), key=lambda axis: shape[axis] / values.shape[axis + 1]):
        last, row, along = values.shape[axis + 1] - 1, index_map[axes[axis]], [-1, *[1] * (2 - axis)]
        points = row[axis] * np.arange(shape[axis]) + row[3]
        variance = max(0.0, np.linalg.norm(row[:3]) ** 2 - 1) / (8 * math.log(2)) if antialias else 0.0
        radius = int(4 * math.sqrt(variance) + 0.5)  # of a Gaussian that smooths where voxels become larger
        if radius == 0 and np.abs(points - np.rint(points)).max() < SAME_VOXELS:
            points = np.rint(points)
        gaussian = np.exp(-0.5 * np.arange(-radius, radius + 1) ** 2 / max(variance, 1e-6))
        gaussian, lower = np.pad(gaussian / gaussian.sum(), 1), np.floor(points.clip(0, last)).astype(int)
        above, total = points.clip(0, last) - lower, np.float32(0)
        for offset in range(-radius, radius + 2):
            weight = (1 - above) * gaussian[offset + radius + 1] + above * gaussian[offset + radius]
            near = values.take((lower + offset).clip(0, last), axis + 1)
            total = total + near * weight.astype(np.float32).reshape(along)
        beyond = np.abs(points - last / 2) > (last + 1) / 2 + SAME_VOXELS
        values = total if outside is None else np.where(beyond.reshape(along), outside, total)
    return values


def regridded(values, affine, step):
    """The image after a step that changes its grid: values and affine."""
    sizes, target = values.shape[1:], affine.copy()
    if step["kind"] == "canonical":  # axes that point right, anterior and superior
        turn = nib.io_orientation(affine)
        turned = np.moveaxis(nib.apply_orientation(np.moveaxis(values, 0, -1), turn), -1, 0)
        return turned, affine @ nib.orientations.inv_ornt_aff(turn, sizes)
    if step["kind"] == "crop_foreground":  # the box around what is brighter than a threshold
        lit, margin = (values > step["threshold"]).any(0), step["margin_voxels"]
        lines = [np.flatnonzero(lit.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
        if not len(lines[0]):
            raise ValueError(f"has no voxel above {step['threshold']:g}, so that crop_foreground leaves nothing")
        box = tuple(slice(max(0, line[0] - margin), line[-1] + 1 + margin) for line in lines)
        target[:3, 3] += affine[:3, :3] @ [side.start for side in box]
        return values[(slice(None), *box)], target
    if step["kind"] == "spacing":
        factors = [mm / old if mm else 1.0 for mm, old in zip(step["mm"], nib.affines.voxel_sizes(affine).tolist())]
    else:  # resize, in which two numbers leave the third axis as it is
        factors = [size / new for size, new in zip(sizes, (*step["size"], sizes[2]))]
    shape = [max(1, round(size / factor)) for size, factor in zip(sizes, factors)]
    target[:3, 3] += affine[:3, :3] @ ((np.asarray(factors) - 1) / 2)  # the outer corner stays where it is
    target[:3, :3] *= factors
    return sampled(values, affine, target, shape=shape, antialias=step["antialias"]), target


def scaling(channel, step, number):
    """What a step does to channel `number`: its limits, what it takes away, and what it divides by (0: all is 0)."""
    if step["kind"] in ("window", "percentiles"):
        ends = (step["low"], step["high"])
        low, high = np.percentile(channel, ends).tolist() if step["kind"] == "percentiles" else ends
        return low, high, low, max(high - low, 0.0)
    if step["kind"] == "dataset_zscore":
        return tuple(step["fitted"][number][name] for name in ("low", "high", "mean", "std"))
    kept = channel[channel != 0] if step["nonzero"] else channel
    mean, std = (float(kept.mean(dtype=float)), float(kept.std(dtype=float))) if kept.size else (0.0, 0.0)
    return -math.inf, math.inf, mean, std if std > 1e-6 * np.abs(kept).max(initial=0) else 0.0


def rescaled(channel, step, number):
    """The values of channel `number` after a step that changes them."""
    low, high, shift, scale = scaling(channel, step, number)
    scaled = (channel.clip(low, high) - shift) / scale if scale else channel * 0
    return np.where(channel != 0, scaled, channel) if step.get("nonzero") else scaled


def predicted(network, stack, spec):
    """Answers (N, O, *spatial) to images (N, C, *spatial) for every voxel; (N, O) where one is for the whole image."""
    sizes, dims, settings, whole = stack.shape[2:], stack.ndim - 2, spec["windows"], spec["task"] not in DENSE
    window = settings["size"] or [-(-size // settings["multiple"]) * settings["multiple"] for size in sizes]
    pads = [(max(side - size, 0) // 2, -(-max(side - size, 0) // 2)) for size, side in zip(sizes, window)]
    padded = np.pad(stack, [(0, 0), (0, 0), *pads], constant_values=settings["padding"])
    padded[np.isnan(stack[(..., *[0] * dims)])] = np.nan  # a missing channel is missing around the image too
    starts, distance = [], np.float32(0)
    for size, side, place in zip(padded.shape[2:], window, np.ogrid[tuple(slice(side) for side in window)]):
        count = math.ceil((size - side) / max(1, int(side * (1 - settings["overlap"])))) + 1
        starts.append([round(index * (size - side) / max(1, count - 1)) for index in range(count)])
        distance = distance + ((place - (side - 1) / 2) / (settings["sigma_share"] * side)) ** 2
    boxes = [(..., *(slice(a, a + b) for a, b in zip(corner, window))) for corner in itertools.product(*starts)]
    weights = np.float32(np.maximum(np.exp(-0.5 * distance), settings["floor"]) if len(boxes) > 1 else 1)
    places = list(itertools.product(range(len(stack)), boxes, [(), *spec["flips"]]))
    total = np.zeros((len(stack), len(spec["classes"]), *(() if whole else padded.shape[2:])), np.float32)
    seen = np.zeros_like(total[:, :1])
    for first in range(0, len(places), spec["batch_size"]):
        batch = places[first : first + spec["batch_size"]]
        images = np.stack([np.flip(padded[n][box], axes) for n, box, axes in batch])
        for (n, box, axes), found in zip(batch, network.run(None, {"images": images})[0]):
            total[n][() if whole else box] += (found if whole else np.flip(found, axes)) * weights
            seen[n][() if whole else box] += weights
    return (total / seen)[() if whole else (..., *(slice(a, a + b) for (a, _), b in zip(pads, sizes)))]


def solved(names, network, spec):
    """The answer to a case on its own grid (O, I, J, K), or (O,) for the whole image; and its first file."""
    image, affine, first = read(names, spec)
    given, shape, grid, axis, ways = image, image.shape[1:], affine, 1 + (spec["slice_axis"] or 0), []
    for step in spec["prepare"]:
        if step["kind"] in ("canonical", "spacing", "resize", "crop_foreground"):
            image, grid = regridded(image, grid, step)
        else:
            if spec["task"] == "restoration":
                ways.append([scaling(channel, step, number)[2:] for number, channel in enumerate(image)])
            image = np.stack([c if np.isnan(c[0, 0, 0]) else rescaled(c, step, n) for n, c in enumerate(image)])
    found = predicted(network, image[None] if spec["dims"] == 3 else np.moveaxis(image, axis, 0), spec)
    decide = import_module("decide")
    if spec["task"] not in DENSE:
        return decide.pooled(found, spec), first
    found = found[0] if spec["dims"] == 3 else np.moveaxis(found, 0, axis)
    if spec["task"] == "restoration":
        found = sampled(decide.led_back(found, ways), grid, affine, shape=shape, antialias=True, outside=np.nan)
        return np.where(np.isnan(found), given, found).astype(np.float32), first
    background = np.float32([spec["exclusive"], *[0] * (len(found) - 1)]).reshape(-1, 1, 1, 1)
    return sampled(decide.tempered(found, spec), grid, affine, shape=shape, outside=background), first


def write(values, file, first):
    """Write values (I, J, K, ...) with the geometry of the first file, so that they appear whole or not at all."""
    header, part = first.header.copy(), file.with_name(f".part-{file.name}")
    header.set_data_dtype(values.dtype)
    header["intent_code"], header["cal_min"], header["cal_max"] = 1002 if values.dtype.kind in "iu" else 0, 0, 0
    nib.save(type(first)(values.reshape(first.shape[:3] + values.shape[3:]), None, header), part)
    part.replace(file)


def main():
    """Write the result of every case; gives 3 where some failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+")
    parser.add_argument("output", type=Path)
    parser.add_argument("--probabilities", action="store_true", help="of a segmentation too: (I, J, K, classes)")
    options, here, failed = parser.parse_args(), Path(__file__).resolve().parent, 0
    spec = json.loads((here / "model.json").read_text(encoding="utf-8"))
    network = onnxruntime.InferenceSession(here / "model.onnx", providers=["CPUExecutionProvider"])
    options.output.mkdir(parents=True, exist_ok=True)
    sources = [sorted(Path(name).rglob("*.nii*")) if Path(name).is_dir() else [name] for name in options.images]
    cases = [str(name).split(",") for files in sources for name in files]
    titles = [Path(next(filter(None, names))).name.partition(".nii")[0] for names in cases]
    if len(set(titles)) < len(titles):
        parser.error("two images have one name, and so would their results: run them one by one")
    for case, names in zip(titles, cases):
        try:
            found, first = solved(names, network, spec)
            if spec["task"] not in DENSE:
                (options.output / f"{case}.json").write_text(json.dumps(import_module("decide").told(found, spec)))
                continue
            write(import_module("decide").shown(found, first, spec), options.output / f"{case}.nii.gz", first)
            if options.probabilities and spec["task"] == "segmentation":
                write(np.moveaxis(found, 0, -1), options.output / f"{case}_probabilities.nii.gz", first)
        except Exception as error:
            failed = 3
            print(f"{case} failed: {error}")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
