"""From trained networks and images to one output a case and tables of them; start reading in `batch`."""

from hilum.pipeline.predicting.batch import Batch, predict

__all__ = ["Batch", "predict"]
