"""The centreline Dice coefficient."""

import numpy as np

from hilum.geometry.skeleton import skeleton
from hilum.metrics.base import OverlapMetric
from hilum.metrics.pair import MaskPair


def cldice(pair: MaskPair) -> float:
    """The harmonic mean of how much of each centreline lies in the other structure (Shit et al. 2021).

    1 where both are empty, 0 where only one is.
    """

    def of_found() -> float:
        true_line, predicted_line = skeleton(pair.truth), skeleton(pair.predicted)
        precision = np.count_nonzero(predicted_line & pair.truth) / np.count_nonzero(predicted_line)
        recall = np.count_nonzero(true_line & pair.predicted) / np.count_nonzero(true_line)
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    return pair.overlap(of_found)


class CldiceMetric(OverlapMetric, kind="cldice"):
    """Centreline Dice (clDice): whether vessels and other tubes are connected as in the truth (Shit et al. 2021)."""

    def measure(self, pair: MaskPair) -> float:
        """Between 0 and 1; see `cldice`."""
        return cldice(pair)
