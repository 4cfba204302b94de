"""What the configurations of networks that MONAI builds have in common."""

from importlib.util import find_spec
from typing import ClassVar, Literal

from hilum.networks.base import NetworkConfig
from hilum.problem import Problem


class MonaiNetworkConfig(NetworkConfig):
    """A segmentation network of MONAI, with logits as large as the image."""

    task: ClassVar[Literal["classification", "segmentation"]] = "segmentation"
    needs: ClassVar[tuple[str, ...]] = ("monai",)
    """The packages that have to be installed."""

    def faults(self, problem: Problem) -> list[str]:
        """Why the network cannot answer `problem`, or cannot be built here."""
        missing = [name for name in self.needs if find_spec(name) is None]
        faults = super().faults(problem)
        if missing:
            faults.append(f"network '{self.kind}' needs {' and '.join(missing)}: pip install 'hilum[monai]'")
        return faults
