"""What run.py makes of the answers of a network: a temperature, slices put together, and what is written of a case.

Needs numpy, and the file postprocess.py where structures are post-processed.
"""

from importlib import import_module

import numpy as np

LEAST = float(np.finfo(np.float32).tiny)  # the logarithm of 0 is infinite
LEAST_DOUBT = 2.0**-24  # nearer to 1 there is no float32


def tempered(found, spec):
    """Probabilities (O, ...) whose logits were divided by the temperature: above 1 less certain, below 1 more."""
    temperature = np.float32(spec["decide"]["temperature"])
    if temperature == 1:
        return found
    if not spec["exclusive"]:
        likely = found.clip(LEAST_DOUBT, 1 - LEAST_DOUBT)
        return 1 / (1 + np.exp(-np.log(likely / (1 - likely)) / temperature))
    scaled = np.log(found.clip(LEAST)) / temperature
    scaled = np.exp(scaled - scaled.max(0))
    return scaled / scaled.sum(0)


def pooled(slices, spec):
    """Answers (O,) to a case from those to its slices (N, O), or from the one row of a volume."""
    found, settings = slices.mean(0), spec["decide"]["slices"]
    if settings["kind"] != "mean":  # by what single slices prove: of every finding, or of the positive class alone
        positive = spec["decide"].get("positive", slice(None))
        shares, rest = proven(slices[:, positive].astype(float), settings), found.astype(float)
        if spec["exclusive"]:  # what it leaves goes to the others as the mean has them
            rest[positive] = 0
            rest *= (1 - shares) / max(rest.sum(), LEAST)
        rest[positive] = shares
        found = rest
    return tempered(found, spec).astype(np.float32)


def proven(proofs, settings):
    """The probability (...) that at least one slice is positive, or that of the surest slices, from all (N, ...)."""
    if settings["kind"] == "noisy_or":  # were they independent
        return 1 - np.prod(1 - proofs.clip(0, 1), 0)
    return np.sort(proofs, 0)[-settings.get("k", 1) :].mean(0)  # of `max` the highest, of `top_k` the mean of k


def told(found, spec):
    """What is said of a case, under the names that results.csv has: its class, its findings or its numbers."""
    said, named = {}, list(zip(spec["classes"], map(float, found)))
    if spec["task"] == "regression":
        for (name, value), unit in zip(named, spec["units"]):
            said |= {f"predicted_{name}": value, **({f"unit_{name}": unit} if unit else {})}
    elif spec["task"] == "multilabel":
        for (name, value), limit in zip(named, spec["decide"]["thresholds"]):
            said |= {f"p_{name}": value, f"predicted_{name}": int(value > 0.5 if limit is None else value >= limit)}
            said |= {} if limit is None else {f"threshold_{name}": limit}
    else:
        said = {**likeliest(found, spec), **{f"p_{name}": value for name, value in named}}
    return said


def likeliest(found, spec):
    """The class of a case: the likeliest one; or, with the threshold that decided, the positive one or the next."""
    positive, threshold = spec["decide"]["positive"], spec["decide"]["threshold"]
    if threshold is None:
        return {"predicted": spec["classes"][int(found.argmax())]}
    others = np.where(np.arange(len(found)) == positive, -1, found)
    chosen = positive if float(found[positive]) >= threshold else int(others.argmax())
    return {"predicted": spec["classes"][chosen], "threshold": threshold}


def shown(found, first, spec):
    """What is written of a case with an answer for every voxel: label values (I, J, K), or an image (I, J, K[, C])."""
    if spec["task"] == "restoration":
        return found[0] if len(found) == 1 else np.moveaxis(found, 0, -1)
    if not spec["exclusive"]:  # the likeliest set of regions
        likely = found.clip(1e-6, 1 - 1e-6)
        found = np.tensordot(np.float32(spec["members"]), np.log(likely / (1 - likely)), 1)
    labels = np.array(spec["values"], spec["dtype"])[found.argmax(0)]
    if spec["postprocess"]:
        labels = import_module("postprocess").postprocessed(labels, first, spec["postprocess"])
    return labels


def led_back(found, ways):
    """A restored image (C, ...) in the intensities of the file; `ways` are what steps took away and divided by."""
    for shifts, scales in (np.float32(way).T.reshape(2, -1, 1, 1, 1) for way in reversed(ways)):
        found = found * np.where(scales == 0, 1, scales) + shifts
    return found
