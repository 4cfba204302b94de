"""Rung 2: logistic regression between two clouds comes as near to the best possible decision as points allow."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hilum.pipeline.course.desk import Desk, Numbers, Trained, percent
from hilum.pipeline.course.planes import draw_plane
from hilum.report.figures import PALETTE
from hilum.sources.toy_sets import BLOB_CENTRES


def work(desk: Desk) -> Numbers:
    """Weights and accuracy of the trained network beside those of the best decision that there is."""
    trained = desk.train("02_blobs", "blobs")
    noise = getattr(trained.restored.experiment.data.source, "noise", None)
    assert isinstance(noise, float)
    best, best_accuracy = best_decision(noise)
    learnt = weights(trained)
    images, targets = trained.samples("test")
    with desk.figure(7.2, 3.0) as picture:
        left, right = picture.subplots(1, 2)
        draw_plane(left, images, targets, answers=trained.answers, title="Points never seen, and the decision")
        epochs, losses = trained.curve("train_loss")
        right.plot(epochs, losses, color=PALETTE[0])
        right.set(title="The loss on the way", xlabel="epoch", ylabel="cross-entropy")
    rows = (
        ("logistic regression, learnt", *_words(learnt), percent(trained.accuracy("test"))),
        ("best possible decision", *_words(best), percent(best_accuracy)),
    )
    return Numbers(("", "weights", "bias", "direction", "accuracy"), rows)


def best_decision(noise: float) -> tuple[npt.NDArray[np.float64], float]:
    """Weights and bias (3,) of the log odds, and the accuracy, of the decision that no other beats (Fisher 1936).

    Of two clouds of the same spread s in every direction around c0 and c1: w = (c1 - c0) / s^2, and the accuracy is the
    normal distribution's at |c1 - c0| / 2 s.
    """
    first, second = np.asarray(BLOB_CENTRES)
    w = (second - first) / noise**2
    bias = -w @ (first + second) / 2
    distance = float(np.linalg.norm(second - first))
    return np.array([*w, bias]), 0.5 * (1 + math.erf(distance / (2 * noise) / math.sqrt(2)))


def weights(trained: Trained) -> npt.NDArray[np.float64]:
    """Weights and bias (3,) of the log odds of class 1: those of its sum less those of the other."""
    state = trained.restored.model.state_dict()
    w, b = state["layers.output.weight"].double().numpy(), state["layers.output.bias"].double().numpy()
    return np.array([*(w[1] - w[0]), b[1] - b[0]])


def _words(w: npt.NDArray[np.float64]) -> tuple[str, str, str]:
    angle = math.degrees(math.atan2(w[1], w[0]))
    return f"{w[0]:.2f}, {w[1]:.2f}", f"{w[2]:.2f}", f"{angle:.1f} degrees"
