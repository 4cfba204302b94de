"""What run.py makes of probabilities: slices put together, a temperature, a class; needs numpy alone."""

import numpy as np

LEAST = float(np.finfo(np.float32).tiny)  # the logarithm of 0 is infinite
LEAST_DOUBT = 2.0**-24  # nearer to 1 there is no float32


def tempered(found, spec):
    """Probabilities (O, ...) whose logits were divided by the temperature: above 1 less certain, below 1 more."""
    temperature = np.float32(spec["decide"]["temperature"])
    if not spec["exclusive"]:
        likely = found.clip(LEAST_DOUBT, 1 - LEAST_DOUBT)
        return 1 / (1 + np.exp(-np.log(likely / (1 - likely)) / temperature))
    scaled = np.log(found.clip(LEAST)) / temperature
    scaled = np.exp(scaled - scaled.max(0))
    return scaled / scaled.sum(0)


def pooled(slices, spec):
    """Probabilities (O,) of a case from those of its slices (N, O), or from the one row of a volume."""
    settings, positive = spec["decide"]["slices"], spec["decide"]["positive"]
    found = slices.mean(0)
    if settings["kind"] != "mean":  # the positive class by what single slices prove, the others as the mean has them
        proofs, rest = slices[:, positive].astype(float), found.astype(float)
        if settings["kind"] == "noisy_or":  # at least one slice is positive, were they independent
            share = 1 - np.prod(1 - proofs.clip(0, 1))
        else:
            share = np.sort(proofs)[-settings.get("k", 1) :].mean()  # of `max` the highest, of `top_k` the mean of k
        rest[positive] = 0
        found = rest * ((1 - share) / max(rest.sum(), LEAST))
        found[positive] = share
    return (tempered(found, spec) if spec["decide"]["temperature"] != 1 else found).astype(np.float32)


def decided(found, spec):
    """What is said of a case: its class, the threshold that decided, and the probability of each class."""
    names, positive, threshold = spec["classes"], spec["decide"]["positive"], spec["decide"]["threshold"]
    told = {f"p_{name}": float(probability) for name, probability in zip(names, found)}
    if threshold is None:
        return {"predicted": names[int(found.argmax())], **told}
    others = np.where(np.arange(len(found)) == positive, -1, found)
    likeliest = positive if float(found[positive]) >= threshold else int(others.argmax())
    return {"predicted": names[likeliest], "threshold": threshold, **told}
