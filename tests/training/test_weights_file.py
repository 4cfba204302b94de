"""Weights are read from safetensors and from torch files of tensors; what could run code is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from hilum.errors import CheckpointError
from hilum.training import checkpoint
from hilum.training.weights_file import read_weights

TENSORS = {"conv.weight": torch.arange(4.0), "conv.bias": torch.ones(1)}


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == TENSORS.keys() and all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_safetensors(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "w.safetensors")
    found, facts = read_weights(tmp_path / "w.safetensors")
    assert same(found)
    assert facts == {}


@pytest.mark.parametrize("wrapped", [TENSORS, {"state_dict": TENSORS, "epoch": 3}, {"model": TENSORS}])
def test_a_torch_file_of_tensors_which_may_stand_below_a_key(tmp_path: Path, wrapped: dict[str, Any]) -> None:
    torch.save(wrapped, tmp_path / "w.pth")
    assert same(read_weights(tmp_path / "w.pth")[0])


@pytest.mark.parametrize("average", [{}, TENSORS])
def test_a_checkpoint_of_hilum_gives_the_average_where_there_is_one(tmp_path: Path, average: dict[str, Any]) -> None:
    model = {name: value + 1 for name, value in TENSORS.items()} if average else TENSORS
    checkpoint.save(tmp_path / "best.pt", tensors={"model": model, "average": average}, facts={"problem": {"dims": 2}})
    found, facts = read_weights(tmp_path / "best.pt")
    assert same(found)
    assert facts == {"problem": {"dims": 2}}


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    with (tmp_path / "evil.pt").open("wb") as file:
        pickle.dump(Path("x"), file, protocol=2)  # what torch writes
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "cut.safetensors").write_bytes(b"abc")
    (tmp_path / "weights.h5").write_bytes(b"abc")
    torch.save({"epoch": 3}, tmp_path / "no.pt")
    for name, words in {
        "evil.pt": "could run code",
        "list.pt": "holds no tensors by name",
        "no.pt": r"it has epoch",
        "cut.safetensors": "cannot be read as safetensors",
        "weights.h5": r"received the suffix '\.h5'",
        "none.pt": "no such file or run folder",
    }.items():
        with pytest.raises(CheckpointError, match=words):
            read_weights(tmp_path / name)
