"""From a data set as it lies on disk to a commented configuration that `hilum check` accepts."""

from __future__ import annotations

from hilum.pipeline.proposal.propose import Proposal, new

__all__ = ["Proposal", "new"]
