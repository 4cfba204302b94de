"""Checkpoints: whole or not there, never code, and a hash that sees every bit."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hilum.errors import CheckpointError, TrainingError
from hilum.training.checkpoint import load, save, weights_sha256


def content() -> dict[str, Any]:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 2)).sum().backward()
    optimizer.step()
    return {"model": model.state_dict(), "average": {}, "optimizer": optimizer.state_dict()}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    tensors, facts = content(), {"position": {"epoch": 3, "loss_sum": 0.1 + 0.2}, "best": {}, "name": "é"}
    save(tmp_path / "last.pt", tensors=tensors, facts=facts)
    again, told = load(tmp_path / "last.pt")
    assert told == facts
    assert weights_sha256(again["model"]) == weights_sha256(tensors["model"])
    assert again["optimizer"]["param_groups"] == tensors["optimizer"]["param_groups"]
    for key, state in tensors["optimizer"]["state"].items():
        assert all(torch.equal(again["optimizer"]["state"][key][name], value) for name, value in state.items())
    assert list(tmp_path.iterdir()) == [tmp_path / "last.pt"]


def test_a_write_that_fails_keeps_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "last.pt"
    save(file, tensors=content(), facts={"epoch": 1})
    before = file.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(
            TrainingError, match=r"last\.pt cannot be written: No space left on device.*resume"
        ) as caught:
            save(file, tensors=content(), facts={"epoch": 2})
    assert caught.value.exit_code == 4
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


class Malicious:
    """Runs code when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path: Path, how: str) -> None:
    file, proof = tmp_path / "last.pt", tmp_path / "ran"
    harmful = {"tensors": Malicious(proof), "facts": "{}"}
    if how == "torch":
        torch.save(harmful, file)
    else:
        file.write_bytes(pickle.dumps(harmful, protocol=2))
    with pytest.raises(CheckpointError, match="something else than tensors") as caught:
        load(file)
    assert "weights_only" not in str(caught.value)  # torch's own message tells how to run it all the same
    assert not proof.exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "foreign"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "last.pt"
    save(file, tensors=content(), facts={})
    whole = file.read_bytes()
    if damage == "foreign":
        torch.save({"state_dict": {}}, file)
    else:
        file.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"not a checkpoint"}[damage])
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        load(file)


def test_a_missing_file_says_what_may_have_happened(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="stopped before its first one"):
        load(tmp_path / "last.pt")


# ---------------------------------------------------------------------------------------------------- hash
STATE = {
    "weight": torch.linspace(0, 1, 12).reshape(3, 4),
    "half": torch.ones(5, dtype=torch.bfloat16),
    "count": torch.tensor(7),
    "empty": torch.zeros(0, 3),
}


@pytest.mark.parametrize("name", ["weight", "half", "count"])
def test_the_hash_sees_one_bit(name: str) -> None:
    changed = {key: value.clone() for key, value in STATE.items()}
    changed[name].reshape(-1).view(torch.uint8)[0] ^= 1
    assert weights_sha256(changed) != weights_sha256(STATE)


def test_the_hash_sees_names_shapes_and_types_but_not_order_or_strides() -> None:
    reference = weights_sha256(STATE)
    assert weights_sha256(dict(reversed(STATE.items()))) == reference
    strided = STATE["weight"].t().contiguous().t()
    assert weights_sha256({**STATE, "weight": strided}) == reference
    others = [
        {**STATE, "weight": STATE["weight"].reshape(4, 3)},
        {**STATE, "weight": STATE["weight"].view(torch.int32)},
        {**STATE, "empty": torch.zeros(3, 0)},
        {**{key: value for key, value in STATE.items() if key != "count"}, "counts": STATE["count"]},
    ]
    assert len({reference, *map(weights_sha256, others)}) == 5


def test_one_changed_byte_of_a_weight_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    weights = torch.arange(4096, dtype=torch.float32)
    save(file, tensors={"model": {"weight": weights}, "optimizer": {"state": {0: weights + 1}}}, facts={})
    content = bytearray(file.read_bytes())
    place = content.index(weights.numpy().tobytes()) + 100
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        load(file)
