"""The files of torchvision's ImageNet weights: which network takes which, and where they lie on this machine."""

from __future__ import annotations

from pathlib import Path

from hilum.errors import CheckpointError, ConfigError
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem

ADDRESS = "https://download.pytorch.org/models/"
FILES = {
    "alexnet": "alexnet-owt-7be5be79.pth",
    "densenet121": "densenet121-a639ec97.pth",
    "densenet161": "densenet161-8d451a50.pth",
    "densenet169": "densenet169-b2777c0a.pth",
    "densenet201": "densenet201-c1103571.pth",
    "inception": "googlenet-1378be20.pth",
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-0676ba61.pth",
    "resnet101": "resnet101-63fe2227.pth",
    "resnet152": "resnet152-394f9c45.pth",
    "vgg11": "vgg11-8a719046.pth",
    "vgg11_bn": "vgg11_bn-6002323d.pth",
    "vgg13": "vgg13-19584684.pth",
    "vgg13_bn": "vgg13_bn-abd245e5.pth",
    "vgg16": "vgg16-397923af.pth",
    "vgg16_bn": "vgg16_bn-6c64b313.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
    "vgg19_bn": "vgg19_bn-c79401a0.pth",
}
"""The file of each network: its version 1, whose name ends with the beginning of the file's SHA-256."""


def imagenet_file(network: NetworkConfig, problem: Problem, *, download: bool, address: str = ADDRESS) -> Path:
    """The file of weights for a network, in torch.hub's folder; fetched there where that is asked for and it is absent.

    Raises ConfigError for a network that has none and where the file is absent, CheckpointError where fetching fails.
    """
    import torch

    name = FILES[_name(network, problem)]
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    if file.is_file():
        return file
    if not download:
        raise ConfigError(
            f"{file} is not there, and nothing is fetched unasked: say --download, or bring the file "
            f"from {address}{name}"
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(address + name, str(file), hash_prefix=_hash(name), progress=False)
    except (OSError, RuntimeError) as error:  # no network, a full disk; another content than the name says
        raise CheckpointError(f"{address}{name} cannot be fetched into {file.parent}: {error}") from error
    return file


def _name(network: NetworkConfig, problem: Problem) -> str:
    """The key of the network in FILES. Raises ConfigError where there is none."""
    normed = "_bn" if network.kind == "vgg" and getattr(network, "norm", "none") == "batch" else ""
    name = f"{network.kind}{getattr(network, 'depth', '')}{normed}"
    if name not in FILES:
        raise ConfigError(f"there are no ImageNet weights for network '{name}'; there are for {', '.join(FILES)}")
    if problem.dims != 2:
        raise ConfigError("ImageNet's weights are for 2D networks, this one is 3D: set data.dims: 2")
    return name


def _hash(name: str) -> str:
    """The beginning of the SHA-256 that a file's name tells."""
    return Path(name).stem.rpartition("-")[2]
