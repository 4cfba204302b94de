"""The road from a YAML file to labelled volumes; start reading in `training`."""

from hilum.experiment import load
from hilum.pipeline.evaluation import evaluate
from hilum.pipeline.prediction import predict
from hilum.pipeline.preflight import check
from hilum.pipeline.training import resume, train

__all__ = ["check", "evaluate", "load", "predict", "resume", "train"]
