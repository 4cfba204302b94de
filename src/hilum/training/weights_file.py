"""Reads tensors by name from safetensors files and from torch files that hold nothing but tensors and numbers."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hilum.errors import CheckpointError
from hilum.formats.base import reason
from hilum.training import checkpoint

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "network_weights", "net", "weights")
"""Under which key the tensors may stand, where a file holds more than them."""


def read_weights(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file by name, on the CPU; of a checkpoint of hilum also its facts.

    There they are the network's, averaged where it has an average. Raises CheckpointError where the file is
    missing, damaged, of another kind, could run code, or holds no tensors.
    """
    if not file.is_file():
        raise CheckpointError(f"{file}: there is no such file or run folder")
    if file.suffix not in SUFFIXES:
        raise CheckpointError(f"{file}: received the suffix '{file.suffix}', expected one of {', '.join(SUFFIXES)}")
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(file), {}
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} cannot be read as safetensors ({reason(error)})") from error
    content = _torch_content(file)
    if isinstance(content, Mapping) and {"tensors", "facts", "sha256"} <= set(content):
        tensors, facts = checkpoint.load(file)
        return dict(tensors.get("average") or tensors["model"]), facts
    return _tensors(content, file), {}


def _torch_content(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's own text advises to load it all the same
        raise CheckpointError(
            f"{file} is damaged, or holds something else than tensors and numbers, which could run code: it is not "
            "loaded; have whoever made it save the state_dict alone"
        ) from error
    except Exception as error:  # whatever torch or zip say about a damaged file
        raise CheckpointError(f"{file} cannot be read as a torch file ({reason(error)})") from error


def _tensors(content: Any, file: Path) -> dict[str, Tensor]:
    """The tensors of what a torch file holds, which may stand below one of WRAPPERS."""
    for inner in (content, *(content.get(key) for key in WRAPPERS if isinstance(content, Mapping))):
        if isinstance(inner, Mapping):
            found = {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
            if found:
                return found
    keys = ", ".join(map(str, list(content)[:5])) if isinstance(content, Mapping) else type(content).__name__
    raise CheckpointError(f"{file} holds no tensors by name (it has {keys}): save the network's state_dict")
