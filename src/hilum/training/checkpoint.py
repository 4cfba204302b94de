"""Checkpoints of tensors and JSON only: written atomically, read with weights_only=True."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hilum.errors import CheckpointError

State = Mapping[str, Tensor]


def save(file: Path, *, tensors: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Write tensors (nested dicts of them and of plain numbers) and JSON facts; the file appears complete or not at all."""
    buffer = io.BytesIO()
    torch.save({"tensors": dict(tensors), "facts": json.dumps(facts)}, buffer)
    temporary = file.with_name(f".{file.name}.part")
    with temporary.open("wb") as handle:
        handle.write(buffer.getbuffer())
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(file)
    descriptor = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(file: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and the facts of a checkpoint. Raises CheckpointError for a missing, broken or foreign file."""
    if not file.is_file():
        raise CheckpointError(
            f"{file}: there is no such checkpoint; the run may have been stopped before its first one"
        )
    try:
        content = torch.load(file, map_location=device, weights_only=True)
        return content["tensors"], json.loads(content["facts"])
    except Exception as error:
        raise CheckpointError(
            f"{file} is not a checkpoint that can be loaded safely (weights only): {error}"
        ) from error


def weights_sha256(state: State) -> str:
    """The hash of all weights and buffers by name: equal only for networks equal to the last bit."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()
