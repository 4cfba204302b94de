"""The root of the network family: what every architecture's configuration answers."""

from typing import ClassVar, Literal, Self, get_args

from torch import nn

from hilum.errors import ConfigError
from hilum.problem import DENSE, Kind, Problem
from hilum.registry import Component


class NetworkConfig(Component, family="networks"):
    """A network that turns images (B, C, *spatial) into logits.

    Logits are (B, num_outputs) for one answer an image and (B, num_outputs, *spatial) for one a voxel. In training a
    network may give several of them as a tuple, finest resolution first: then `gives_several` is true.
    """

    task: ClassVar[Literal["classification", "segmentation"]] = "classification"
    """What the network gives: an answer for the whole image, as for a classification, or one for every voxel."""

    @property
    def needs_size(self) -> bool:
        """Whether the network can be built only for inputs of one size, which `Problem.size` then has to give."""
        return False

    @property
    def gives_several(self) -> bool:
        """Whether training gives logits at several resolutions."""
        return False

    def build(self, problem: Problem) -> nn.Module:
        """A new network for `problem`, its weights drawn from torch's global generator."""
        raise NotImplementedError(f"{type(self).__name__} has no build(problem)")

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Why an image or a patch of `size` voxels cannot pass: one sentence each, none if it can."""
        del size
        return []

    def faults(self, problem: Problem) -> list[str]:
        """Why the network cannot answer `problem`: one sentence each, none if it can."""
        dense = self.task == "segmentation"
        if problem.dense != dense:
            fitting = " and ".join(kind for kind in get_args(Kind) if (kind in DENSE) == dense)
            return [f"network '{self.kind}' is for {fitting}, the task is {problem.kind}"]
        if self.gives_several and problem.kind == "restoration":
            return [f"network '{self.kind}' answers at several resolutions, a restoration takes one: turn it off"]
        if problem.size is not None:
            return self.size_faults(problem.size)
        if self.needs_size:
            add = "add {kind: resize, size: [...]} to data.prepare"
            return [f"network '{self.kind}' takes inputs of one size only, and the data have none: {add}"]
        return []

    def refuse_faults(self, problem: Problem) -> None:
        """Raise ConfigError with every fault for `problem`; `build` starts with it."""
        faults = self.faults(problem)
        if faults:
            raise ConfigError("; ".join(faults))

    @classmethod
    def tiny(cls) -> Self:
        """The same architecture at a width that a test can afford."""
        return cls()
