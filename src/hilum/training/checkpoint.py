"""Checkpoints of tensors and JSON only: written atomically, read with weights_only=True."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hilum.errors import CheckpointError, TrainingError
from hilum.formats.atomic import write_whole
from hilum.formats.base import reason

State = Mapping[str, Tensor]


def save(file: Path, *, tensors: Mapping[str, Any], facts: Mapping[str, Any], before: Path | None = None) -> None:
    """Write tensors (nested dicts of them and of plain numbers) and JSON facts.

    The file appears complete or not at all; what it held is kept as `before`. Raises TrainingError where it cannot be
    written, such as on a full disk: then both files are as they were.
    """
    buffer = io.BytesIO()
    text = json.dumps(facts)
    torch.save({"tensors": dict(tensors), "facts": text, "sha256": _content_sha256(tensors, text)}, buffer)
    try:
        if before is not None and file.exists():
            _replace_and_keep(file, buffer.getvalue(), before)
        else:
            write_whole(file, buffer.getvalue())
    except OSError as error:
        raise TrainingError(
            f"the checkpoint {file} cannot be written: {error.strerror}; "
            "the one before, if any, is kept: mend this and resume"
        ) from error


def _replace_and_keep(file: Path, content: bytes, before: Path) -> None:
    """Write a file whole and keep the one it replaces; at every instant both names hold a whole file."""
    second_name = before.with_name(f".{before.name}.part")
    second_name.unlink(missing_ok=True)
    try:
        try:
            second_name.hardlink_to(file)
        except OSError:  # a file system without hard links
            shutil.copyfile(file, second_name)
        write_whole(file, content)
        second_name.replace(before)
    finally:
        second_name.unlink(missing_ok=True)


def load(file: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and the facts of a checkpoint. Raises CheckpointError for a missing, broken or foreign file."""
    if not file.is_file():
        raise CheckpointError(
            f"{file}: there is no such checkpoint; the run may have been stopped before its first one"
        )
    try:
        content = torch.load(file, map_location=device, weights_only=True)
        tensors, text = content["tensors"], content["facts"]
        intact = content["sha256"] == _content_sha256(tensors, text)
        facts = json.loads(text)
    except pickle.UnpicklingError as error:  # torch's own text advises to load it all the same
        raise CheckpointError(
            f"{file} is damaged, or holds something else than tensors and numbers, which could run code: "
            "it is not loaded; take a checkpoint that `hilum train` wrote"
        ) from error
    except Exception as error:  # whatever torch, zip or json say about a damaged file
        raise CheckpointError(f"{file} cannot be read as a checkpoint ({reason(error)})") from error
    if not intact:
        raise CheckpointError(f"{file} is damaged: its content is not what was written; take another copy of it")
    return tensors, facts


def weights_sha256(state: State) -> str:
    """The hash of all weights and buffers by name: equal only for networks equal to the last bit."""
    digest = hashlib.sha256()
    for name in sorted(state):
        _add(digest, name, state[name])
    return digest.hexdigest()


def _content_sha256(tensors: Mapping[str, Any], facts: str) -> str:
    """The hash of everything that a checkpoint holds: torch's own format does not notice damaged bytes."""
    digest = hashlib.sha256(facts.encode())
    _add(digest, "", tensors)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, name: str, value: Any) -> None:
    if isinstance(value, Tensor):
        tensor = value.detach().cpu().contiguous()
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            _add(digest, f"{name}/{key}", value[key])
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            _add(digest, f"{name}/{position}", item)
    else:
        digest.update(f"{name}={value!r}".encode())
