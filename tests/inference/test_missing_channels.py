"""Prediction of images that lack channels: what the network is given, and what is refused."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.inference.inputs import find_inputs
from hilum.inference.predictor import Predictor
from hilum.prepare.base import PrepareConfig
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.crop_foreground import CropForegroundConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.prepare.zscore import ZscoreConfig
from hilum.problem import Problem
from hilum.volume import Grid, Volume

CHANNELS = ("flair", "t1c")
STEPS: list[PrepareConfig] = [
    CanonicalConfig(),
    SpacingConfig(mm=(1.5, 1.5, 2)),
    CropForegroundConfig(),
    ZscoreConfig(),
]


def problem(channels: tuple[str, ...] = CHANNELS, *, dims: int = 3, kind: str = "segmentation") -> Problem:
    return Problem(
        kind="classification" if kind == "classification" else "segmentation",
        dims=dims,
        channels=channels,
        classes=("background", "organ"),
        values=((0,), (1,)),
    )


class Spy(nn.Module):
    """Keeps every window; its logits are the mean of the channels that are there."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.clone())
        mean = images.nanmean(1, keepdim=True)
        return torch.cat([torch.zeros_like(mean), mean], dim=1)


class WholeSpy(Spy):
    """The same for whole images."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).flatten(2).mean(2)


def scan(shape: tuple[int, int, int] = (21, 18, 9)) -> Volume:
    """Two channels of positive noise on an oblique grid; the second is missing."""
    rng = np.random.default_rng(2)
    affine = np.array([[0.9, 0.1, 0, 5], [-0.1, 0.9, 0, -3], [0, 0, 3, 8], [0, 0, 0, 1.0]])
    image = torch.from_numpy(rng.random((2, *shape), dtype=np.float32))
    image[1] = torch.nan
    return Volume(image, Grid(shape, affine))


@pytest.mark.parametrize("flips", [(), ((0,), (0, 1))])
@pytest.mark.parametrize(
    ("dims", "window"),
    [(3, (8, 8, 8)), (3, (40, 30, 20)), (3, (8, 40, 4)), (3, None), (2, (10, 10)), (2, (40, 6)), (2, None)],
)
def test_the_other_channel_is_predicted_as_if_it_were_the_only_one(
    dims: int, window: tuple[int, ...] | None, flips: tuple[tuple[int, ...], ...]
) -> None:
    image = scan()
    alone = Volume(image.tensor[:1], image.grid)
    spies = Spy(), Spy()
    given = {"window": window, "flips": flips, "multiple": 4, "overlap": 0.3}
    lacking = Predictor(spies[0], problem(dims=dims), STEPS, may_lack_channels=True, **given)  # type: ignore[arg-type]
    oracle = Predictor(spies[1], problem(("flair",), dims=dims), STEPS, **given)  # type: ignore[arg-type]
    found, expected = lacking.segment(image), oracle.segment(alone)
    assert torch.equal(found.tensor, expected.tensor)
    assert 0 < int(found.tensor.sum()) < found.tensor.numel()
    assert len(spies[0].seen) == len(spies[1].seen)
    for window_seen, window_expected in zip(spies[0].seen, spies[1].seen, strict=True):
        assert torch.equal(window_seen[:, :1], window_expected)
        assert window_seen[:, 1].isnan().all()  # also where the image is padded


def test_a_classification_sees_it_missing_too() -> None:
    spy = WholeSpy()
    one = problem(dims=2, kind="classification")
    probabilities = Predictor(spy, one, [ZscoreConfig()], multiple=16, may_lack_channels=True).classify(
        scan((20, 18, 1))
    )
    assert torch.isfinite(probabilities).all()
    assert spy.seen[0].shape == (1, 2, 32, 32)
    assert spy.seen[0][:, 1].isnan().all()
    assert spy.seen[0][:, 0].isfinite().all()


class SecondOnly(PrepareConfig, kind="test_second_only"):
    """Adds 10 to the second channel, and knows which that is where the first is missing."""

    channels: tuple[int, ...] = (0, 1)
    """Those that are there."""

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        added = torch.tensor([10.0 if channel == 1 else 0.0 for channel in self.channels]).view(-1, 1, 1, 1)
        return Volume(image.tensor + added, image.grid), label

    def for_channels(self, channels):  # type: ignore[no-untyped-def]
        return SecondOnly(channels=tuple(channels))


@pytest.fixture(autouse=True, scope="module")
def _forget_the_step() -> object:
    from hilum import registry

    yield
    registry._REGISTRY["prepare"].pop("test_second_only", None)


def test_a_step_with_settings_by_channel_is_told_which_are_there() -> None:
    image = scan((4, 4, 4))
    swapped = Volume(image.tensor.flip(0), image.grid)  # now the first is missing
    for given, there, added in ((image, 0, 0.0), (swapped, 1, 10.0)):
        prepared = Predictor(Spy(), problem(), [SecondOnly()], may_lack_channels=True).prepared(given)
        assert torch.equal(prepared.tensor[there], given.tensor[there] + added)
        assert prepared.tensor[1 - there].isnan().all()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, ImageRef]:
    """Two files on one grid, one on another, and one with three channels."""
    shapes = {"flair": (4, 5, 6), "t1c": (4, 5, 6), "other": (4, 5, 7)}
    for name, shape in shapes.items():
        nib.save(nib.Nifti1Image(np.ones(shape, np.float32), np.eye(4)), tmp_path / f"{name}.nii")
    return {name: ImageRef(tmp_path / f"{name}.nii") for name in shapes}


def test_reading_puts_nan_where_a_file_is_missing(files: dict[str, ImageRef]) -> None:
    image = Predictor(Spy(), problem(), [], may_lack_channels=True).read([None, files["t1c"]])
    assert image.tensor.shape == (2, 4, 5, 6)
    assert image.tensor[0].isnan().all()
    assert (image.tensor[1] == 1).all()


def test_what_cannot_be_missing_is_refused(files: dict[str, ImageRef]) -> None:
    strict = Predictor(Spy(), problem(), [])
    with pytest.raises(DataError, match=r"lacks t1c, and the network was trained without data\.missing"):
        strict.read([files["flair"], None])
    lenient = Predictor(Spy(), problem(), [], may_lack_channels=True)
    with pytest.raises(DataError, match="no image at all"):
        lenient.read([None, None])
    with pytest.raises(DataError, match="different grids"):
        Predictor(Spy(), problem(("a", "b", "c")), [], may_lack_channels=True).read(
            [files["flair"], None, files["other"]]
        )
    with pytest.raises(DataError, match="has 3 channels, the network takes 2"):
        lenient.read([files["flair"], None, files["t1c"]])


def test_an_empty_cell_of_a_manifest_is_a_missing_channel(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text(
        "flair,t1c,case_id,patient_id\na.nii,b.nii,full,1\nc.nii.gz,,,2\n,d.nii,,3\n,,,4\n,,bare,5\n"
    )
    cases = find_inputs(tmp_path / "cases.csv", CHANNELS, frames=[None, None])
    assert [case.id for case in cases] == ["full", "c", "d", "line-5", "bare"]
    assert [case.missing for case in cases] == [(), (1,), (0,), (0, 1), (0, 1)]
    assert cases[2].files == (ImageRef(tmp_path / "d.nii"),)


def test_a_network_of_one_image_needs_every_cell(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("image,case_id\na.nii,a\n,b\n")
    with pytest.raises(DataError, match=r"empty cell.*image"):
        find_inputs(tmp_path / "cases.csv", ("image",), frames=[None])
