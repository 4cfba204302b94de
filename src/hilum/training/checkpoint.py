"""Checkpoints of tensors and JSON only: written atomically, read with weights_only=True."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hilum.errors import CheckpointError, TrainingError
from hilum.formats.atomic import write_whole
from hilum.formats.base import reason

State = Mapping[str, Tensor]


def save(file: Path, *, tensors: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Write tensors (nested dicts of them and of plain numbers) and JSON facts.

    The file appears complete or not at all. Raises TrainingError where it cannot be written, such as on a full disk.
    """
    buffer = io.BytesIO()
    torch.save({"tensors": dict(tensors), "facts": json.dumps(facts)}, buffer)
    try:
        write_whole(file, buffer.getvalue())
    except OSError as error:
        raise TrainingError(
            f"the checkpoint {file} cannot be written: {error.strerror}; the one before is kept: mend this and resume"
        ) from error


def load(file: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and the facts of a checkpoint. Raises CheckpointError for a missing, broken or foreign file."""
    if not file.is_file():
        raise CheckpointError(
            f"{file}: there is no such checkpoint; the run may have been stopped before its first one"
        )
    try:
        content = torch.load(file, map_location=device, weights_only=True)
        return content["tensors"], json.loads(content["facts"])
    except pickle.UnpicklingError as error:  # torch's own text advises to load it all the same
        raise CheckpointError(
            f"{file} is damaged, or holds something else than tensors and numbers, which could run code: "
            "it is not loaded; take a checkpoint that `hilum train` wrote"
        ) from error
    except Exception as error:  # whatever torch, zip or json say about a damaged file
        raise CheckpointError(f"{file} cannot be read as a checkpoint ({reason(error)})") from error


def weights_sha256(state: State) -> str:
    """The hash of all weights and buffers by name: equal only for networks equal to the last bit."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()
