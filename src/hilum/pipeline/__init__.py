"""The road from a YAML file to labelled volumes; start reading in `training`."""

from hilum.experiment import load
from hilum.pipeline.evaluation import evaluate
from hilum.pipeline.prediction import predict
from hilum.pipeline.preflight import check
from hilum.pipeline.proposal.propose import new
from hilum.pipeline.reporting import write_report
from hilum.pipeline.splitting import split
from hilum.pipeline.sweeping import sweep
from hilum.pipeline.training import resume, train

__all__ = ["check", "evaluate", "load", "new", "predict", "resume", "split", "sweep", "train", "write_report"]
