"""Where ImageNet's weights lie: found on this machine, fetched only when asked, never taken with another content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from hilum.errors import CheckpointError, ConfigError
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem
from hilum.registry import parse
from hilum.training import imagenet
from hilum.training.imagenet import imagenet_file


def network(**settings: Any) -> NetworkConfig:
    found = parse("networks", settings)
    assert isinstance(found, NetworkConfig)
    return found


def problem(dims: int = 2) -> Problem:
    return Problem("classification", dims, channels=("grey",), classes=("a", "b"), values=((0,), (1,)))


@pytest.fixture(autouse=True)
def hub(tmp_path: Path) -> Any:
    """A folder of torch.hub of the test's own."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield tmp_path / "hub" / "checkpoints"
    torch.hub.set_dir(before)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"kind": "resnet", "depth": 50}, "resnet50-0676ba61.pth"),
        ({"kind": "vgg", "depth": 16, "norm": "batch"}, "vgg16_bn-6c64b313.pth"),
        ({"kind": "vgg", "depth": 16}, "vgg16-397923af.pth"),
        ({"kind": "inception"}, "googlenet-1378be20.pth"),
        ({"kind": "alexnet"}, "alexnet-owt-7be5be79.pth"),
    ],
)
def test_a_file_that_is_there_is_taken(hub: Path, settings: dict[str, Any], name: str) -> None:
    hub.mkdir(parents=True)
    (hub / name).write_bytes(b"weights")
    assert imagenet_file(network(**settings), problem(), download=False) == hub / name


def test_nothing_is_fetched_unasked(hub: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing is fetched unasked: say --download.*resnet18-f37072fd\.pth"):
        imagenet_file(network(kind="resnet"), problem(), download=False)
    assert not hub.exists()


def test_what_is_asked_for_is_fetched_once_and_only_with_its_hash(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"weights from elsewhere"
    name = f"resnet18-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setitem(imagenet.FILES, "resnet18", name)
    address = f"{tmp_path.as_uri()}/"
    (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="cannot be fetched"):
        imagenet_file(network(kind="resnet"), problem(), download=True, address=address)
    assert not list(hub.glob("*"))
    (tmp_path / name).write_bytes(content)
    file = imagenet_file(network(kind="resnet"), problem(), download=True, address=address)
    assert file.read_bytes() == content
    (tmp_path / name).unlink()
    assert imagenet_file(network(kind="resnet"), problem(), download=True, address=address) == file


def test_networks_without_such_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match="no ImageNet weights for network 'densenet264'"):
        imagenet_file(network(kind="densenet", depth=264), problem(), download=True)
    with pytest.raises(ConfigError, match="no ImageNet weights for network 'lenet5'"):
        imagenet_file(network(kind="lenet5"), problem(), download=True)
    with pytest.raises(ConfigError, match="for 2D networks, this one is 3D"):
        imagenet_file(network(kind="resnet"), problem(3), download=True)
