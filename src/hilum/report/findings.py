"""Pictures of a multilabel task: the ROC curve of each finding."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.report.figures import MUTED, figure, line_look

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def finding_curves(shown: Mapping[str, tuple[Floats, Floats]], out: Path) -> None:
    """Writes a PNG with the ROC curves of findings, from truth (N,) of 0 and 1 and probabilities (N,).

    A finding that is in no case, or in all of them, has no curve.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    with figure(5.4, 3.6, out) as picture:
        axes = picture.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="chance")
        for number, (name, (truth, likely)) in enumerate(shown.items()):
            if truth.min() == truth.max():
                continue
            false_share, true_share, _ = roc_curve(truth, likely)
            label = f"{name} {roc_auc_score(truth, likely):.3f} ({int(truth.sum())} of {truth.size})"
            axes.plot(false_share, true_share, label=label, **line_look(number))
        axes.set_xlabel("1 - specificity")
        axes.set_ylabel("sensitivity")
        axes.set_aspect("equal")
        axes.set_title("ROC curves, each finding by itself")
        axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
