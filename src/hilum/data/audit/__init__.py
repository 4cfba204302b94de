"""What may be wrong with a cohort although every file is sound: copies, confounding, imbalance, unknown patients."""

from __future__ import annotations

from hilum.data.audit.copies import Pair, Scan
from hilum.data.audit.everything import Audit, audit
from hilum.data.audit.proposals import Proposal, propose_patients

__all__ = ["Audit", "Pair", "Proposal", "Scan", "audit", "propose_patients"]
