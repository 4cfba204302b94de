"""`hilum view`: volumes, truth and prediction of a run or of a folder of predictions in a browser on this machine."""

from hilum.pipeline.viewing.serving import view

__all__ = ["view"]
