"""What the headers of all files of a cohort say, and everything that is wrong with them, before a voxel is read."""

from __future__ import annotations

from hilum.data.index.scan import Index, scan

__all__ = ["Index", "scan"]
