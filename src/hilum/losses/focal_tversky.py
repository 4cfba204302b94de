"""The focal Tversky loss: the Tversky loss, turned towards classes that are hard or already easy."""

from pydantic import PositiveFloat

from hilum.losses.tversky import TverskyConfig


class FocalTverskyConfig(TverskyConfig, kind="focal_tversky"):
    """Focal Tversky loss (Abraham and Khan 2019, doi:10.1109/ISBI.2019.8759329): a Tversky loss to a power."""

    gamma: PositiveFloat = 0.75
    """The power, 1 / gamma in the paper's words with its 4/3: below 1 a class that is nearly right keeps a gradient,
    above 1 it is turned away from."""

    @property
    def exponent(self) -> float:
        """What the loss of each class is raised to."""
        return self.gamma
