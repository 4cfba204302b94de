"""The road from a YAML file to labelled volumes; start reading in `training`."""

from hilum.experiment import load
from hilum.exporting.options import ExportOptions
from hilum.pipeline.comparing import compare
from hilum.pipeline.crossvalidation import crossval
from hilum.pipeline.describing import DescribeOptions, describe
from hilum.pipeline.evaluation import evaluate
from hilum.pipeline.exporting import export
from hilum.pipeline.inside import Look, look_inside
from hilum.pipeline.predicting import predict
from hilum.pipeline.preflight import check
from hilum.pipeline.proposal.propose import new
from hilum.pipeline.reporting import write_report
from hilum.pipeline.scoring import score_predictions
from hilum.pipeline.splitting import split
from hilum.pipeline.sweeping import sweep
from hilum.pipeline.training import resume, train
from hilum.pipeline.viewing import view

__all__ = [
    "DescribeOptions",
    "ExportOptions",
    "Look",
    "check",
    "compare",
    "crossval",
    "describe",
    "evaluate",
    "export",
    "load",
    "look_inside",
    "new",
    "predict",
    "resume",
    "score_predictions",
    "split",
    "sweep",
    "train",
    "view",
    "write_report",
]
