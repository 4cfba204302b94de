"""Our losses against MONAI's, which know no ignored voxels."""

import pytest
import torch

from hilum.losses.boundary import Boundary
from hilum.losses.cldice import CentrelineDice
from hilum.losses.dice import Dice
from hilum.losses.dice_ce import DiceCrossEntropyConfig
from hilum.losses.focal import Focal
from hilum.losses.generalised_dice import GeneralisedDice, Weighing
from hilum.losses.hausdorff import Hausdorff
from hilum.losses.tversky import Tversky
from hilum.problem import Problem

SHAPES = {2: (3, 4, 9, 7), 3: (3, 4, 6, 5, 4)}


def logits(dims: int) -> torch.Tensor:
    return 2 * torch.randn(SHAPES[dims], generator=torch.Generator().manual_seed(31))


def indices(dims: int) -> torch.Tensor:
    shape = SHAPES[dims]
    return torch.randint(0, 3, (shape[0], *shape[2:]), generator=torch.Generator().manual_seed(32))


def regions(dims: int) -> torch.Tensor:
    return torch.randint(0, 2, SHAPES[dims], generator=torch.Generator().manual_seed(33))


every_dims = pytest.mark.parametrize("dims", [2, 3], ids=["2D", "3D"])


@every_dims
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("batch", [True, False])
def test_dice_of_classes(dims: int, background: bool, batch: bool) -> None:
    """The fourth class is absent everywhere."""
    from monai.losses import DiceLoss

    theirs = DiceLoss(
        include_background=background, to_onehot_y=True, softmax=True, batch=batch, smooth_nr=0.1, smooth_dr=0.1
    )
    ours = Dice(exclusive=True, background=background, batch=batch, smooth=0.1)
    torch.testing.assert_close(ours(logits(dims), indices(dims)), theirs(logits(dims), indices(dims).unsqueeze(1)))


@every_dims
@pytest.mark.parametrize("batch", [True, False])
def test_dice_of_regions(dims: int, batch: bool) -> None:
    from monai.losses import DiceLoss

    theirs = DiceLoss(sigmoid=True, batch=batch)
    ours = Dice(exclusive=False, batch=batch)
    torch.testing.assert_close(ours(logits(dims), regions(dims)), theirs(logits(dims), regions(dims)))


@every_dims
def test_dice_ce(dims: int) -> None:
    from monai.losses import DiceCELoss

    classes = ("background", "a", "b", "c")
    problem = Problem(
        "segmentation", dims, channels=("scan",), classes=classes, values=tuple((index,) for index in range(4))
    )
    theirs = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)
    ours = DiceCrossEntropyConfig().build(problem)
    torch.testing.assert_close(ours(logits(dims), indices(dims)), theirs(logits(dims), indices(dims).unsqueeze(1)))


@every_dims
@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal_of_regions(dims: int, gamma: float, alpha: float | None) -> None:
    from monai.losses import FocalLoss

    theirs = FocalLoss(gamma=gamma, alpha=alpha)
    ours = Focal(exclusive=False, gamma=gamma, alpha=alpha)
    torch.testing.assert_close(ours(logits(dims), regions(dims)), theirs(logits(dims), regions(dims)))


@every_dims
@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal_of_classes(dims: int, gamma: float, alpha: float | None) -> None:
    """MONAI averages over voxels and classes, we over voxels: a factor of the number of classes."""
    from monai.losses import FocalLoss

    theirs = FocalLoss(gamma=gamma, alpha=alpha, use_softmax=True, to_onehot_y=True)
    ours = Focal(exclusive=True, gamma=gamma, alpha=alpha)
    expected = theirs(logits(dims), indices(dims).unsqueeze(1)) * 4
    torch.testing.assert_close(ours(logits(dims), indices(dims)), expected)


@every_dims
@pytest.mark.parametrize("weighing", ["square", "simple", "uniform"])
@pytest.mark.parametrize("batch", [True, False])
def test_generalised_dice(dims: int, weighing: Weighing, batch: bool) -> None:
    from monai.losses import GeneralizedDiceLoss

    theirs = GeneralizedDiceLoss(to_onehot_y=True, softmax=True, w_type=weighing, batch=batch)
    ours = GeneralisedDice(exclusive=True, weighing=weighing, batch=batch)
    torch.testing.assert_close(ours(logits(dims), indices(dims)), theirs(logits(dims), indices(dims).unsqueeze(1)))


@every_dims
@pytest.mark.parametrize("batch", [True, False])
def test_tversky(dims: int, batch: bool) -> None:
    from monai.losses import TverskyLoss

    theirs = TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7, batch=batch)
    ours = Tversky(exclusive=False, weights=(0.3, 0.7), batch=batch)
    torch.testing.assert_close(ours(logits(dims), regions(dims)), theirs(logits(dims), regions(dims)))


@every_dims
@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_hausdorff(dims: int, exponent: float) -> None:
    from monai.losses import HausdorffDTLoss

    theirs = HausdorffDTLoss(alpha=exponent, include_background=False, to_onehot_y=True, softmax=True)
    ours = Hausdorff(exclusive=True, exponent=exponent)
    torch.testing.assert_close(ours(logits(dims), indices(dims)), theirs(logits(dims), indices(dims).unsqueeze(1)))


@every_dims
def test_boundary(dims: int) -> None:
    """MONAI leaves out the part that does not depend on the prediction: what a perfect answer costs there."""
    from monai.losses import BoundaryLoss

    theirs = BoundaryLoss()
    probabilities, truth = logits(dims).sigmoid(), regions(dims).float()
    expected = theirs(probabilities, truth) - theirs(truth, truth)
    torch.testing.assert_close(Boundary(exclusive=False)(logits(dims), regions(dims)), expected)


@every_dims
def test_centre_lines(dims: int) -> None:
    """MONAI takes all classes as one structure: theirs, class by class."""
    from monai.losses import SoftclDiceLoss

    theirs = SoftclDiceLoss(iter_=3, smooth=1e-12)
    probabilities, truth = logits(dims).sigmoid(), regions(dims).float()
    expected = torch.stack([theirs(probabilities[:, [index]], truth[:, [index]]) for index in range(4)]).mean()
    torch.testing.assert_close(CentrelineDice(exclusive=False)(logits(dims), regions(dims)), expected)
