"""Many settings of one experiment: the space, the ledger that workers share, the trials and what comes of them."""

from hilum.pipeline.sweeping.loop import sweep

__all__ = ["sweep"]
