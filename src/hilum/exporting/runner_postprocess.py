"""What run.py does to predicted structures on the image's own grid; needs numpy alone."""

import itertools

import numpy as np


def postprocessed(labels, image, steps):
    """Label values (I, J, K) after each step; `image` is the nibabel image whose grid they lie on."""
    unit = {"meter": 1000.0, "micron": 0.001}.get(image.header.get_xyzt_units()[0], 1.0)
    voxel_ml = abs(np.linalg.det(image.affine[:3, :3])) * unit**3 / 1000
    for step in steps:
        structure = np.isin(labels, step["inside"])
        if not structure.any():
            continue
        lines = [np.flatnonzero(structure.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
        box = tuple(slice(line[0], line[-1] + 1) for line in lines)
        before, changed = structure[box], labels.copy()
        after = before & kept(before, step, voxel_ml) if step["kind"] != "fill_holes" else filled(before, labels.shape)
        for place, table in ((before & ~after, step["removed"]), (after & ~before, step["added"])):
            for value in np.unique(labels[box][place]).tolist():
                changed[box][place & (labels[box] == value)] = table[str(value)]
        labels = changed
    return labels


def kept(mask, step, voxel_ml):
    """The largest component of a mask, or those that are not too small."""
    numbers = components(mask, corners=True)
    sizes = np.bincount(numbers[mask])
    if step["kind"] == "largest_component":
        return numbers == sizes.argmax()
    least = step["voxels"] if step["voxels"] is not None else step["ml"] / voxel_ml * (1 - 1e-9)
    return np.append(sizes >= least, False)[numbers]


def filled(mask, whole):
    """A mask with its holes; `whole` is the shape of the image, where an axis of one voxel encloses nothing."""
    sides = [(1, 1) if size > 1 else (0, 0) for size in whole]
    outside = components(~np.pad(mask, sides), corners=False) == 0
    return ~outside[tuple(slice(a, size + a) for (a, _), size in zip(sides, mask.shape))]


def components(mask, *, corners):
    """By voxel the number of its component, which is that of its first voxel within the mask; -1 outside.

    Voxels that share a face belong together, with `corners` also those that share an edge or a corner.
    """
    numbers = np.full(mask.shape, -1)
    numbers[mask] = np.arange(mask.sum())
    left, right = [np.zeros(0, int)], [np.zeros(0, int)]
    for step in itertools.product((-1, 0, 1), repeat=3):
        if step > (0, 0, 0) and (corners or sum(map(abs, step)) == 1):
            here = numbers[tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, mask.shape))]
            there = numbers[tuple(slice(max(0, s), n + min(0, s)) for s, n in zip(step, mask.shape))]
            both = (here >= 0) & (there >= 0)
            left.append(here[both])
            right.append(there[both])
    a, b = np.concatenate(left), np.concatenate(right)
    root, before = np.arange(mask.sum()), None
    while before is None or (root != before).any():
        before, lowest = root.copy(), np.minimum(root[a], root[b])
        np.minimum.at(root, before[a], lowest)
        np.minimum.at(root, before[b], lowest)
        while (root != root[root]).any():
            root = root[root]
    numbers[mask] = root
    return numbers
