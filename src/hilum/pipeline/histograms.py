"""The histograms of a run's layers, after each epoch, where they are asked for."""

from __future__ import annotations

from contextlib import closing

from hilum.pipeline.degrading import degraded
from hilum.pipeline.session import Session
from hilum.training.histograms import Values, layer_values


def histograms(session: Session) -> dict[str, Values]:
    """Values of each layer's activations, weights and gradients; nothing where train.log_histograms is off.

    They are those of one batch, always the same one: the first of the run before it is augmented. So what changes over
    the epochs is the network alone, and training goes on to the same bits as without.
    """
    if not session.study.experiment.train.log_histograms:
        return {}
    with closing(session.batches.epoch(0)) as batches:
        batch = degraded(next(batches), session.study.experiment, session.study.frame)
    trainer, device = session.trainer, session.runtime.device
    return layer_values(trainer.model, trainer.loss, batch.images.to(device), batch.targets.to(device))
