"""Linear filters: every voxel becomes a weighted sum of its neighbours, by a kernel that is cross-correlated."""

import itertools
import math
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from hilum.filters.base import FilterConfig

Kernel = npt.NDArray[np.float64]
"""Weights, an axis of the array for each axis of the image."""
TRUNCATE = 4.0
"""The kernel of a Gaussian ends after this many standard deviations."""
Operation = Literal["cross_correlation", "convolution"]


class LinearFilter(FilterConfig):
    """A filter by kernels, each of which is a row of factors that act one after the other."""

    def kernels(self, dims: int) -> list[list[Kernel]]:
        """The factors of each kernel; all kernels see equally many voxels along each axis."""
        raise NotImplementedError

    @property
    def turned(self) -> bool:
        """Whether the kernels are turned round before they slide: a convolution, else a cross-correlation."""
        return False

    def widths(self, dims: int) -> tuple[tuple[int, int], ...]:
        """Voxels before and after; of an even kernel the voxel at half its length is the middle, as in SciPy."""
        factors = self.kernels(dims)[0]
        lengths = [1 + sum(factor.shape[axis] - 1 for factor in factors) for axis in range(factors[0].ndim)]
        pairs = [(length // 2, length - 1 - length // 2) for length in lengths]
        return tuple((after, before) if self.turned else (before, after) for before, after in pairs)

    def slide(self, images: Tensor) -> Tensor:
        """The sums; of several kernels, the root of the sum of their squares."""
        answers = [self._by(factors, images) for factors in self.kernels(images.ndim - 2)]
        if len(answers) == 1:
            return answers[0]
        squares = answers[0].square()
        for answer in answers[1:]:
            squares += answer.square()
        return squares.sqrt_()

    def _by(self, factors: list[Kernel], images: Tensor) -> Tensor:
        for factor in factors:
            images = correlated(images, np.flip(factor) if self.turned else factor)
        return images


class DirectedFilter(LinearFilter):
    """A filter whose kernel changes when it is turned round."""

    operation: Operation = "cross_correlation"
    """Whether the kernel slides as it is written, as the layers of networks do (cross_correlation), or turned by 180
    degrees first (convolution, as mathematics has it)."""

    @property
    def turned(self) -> bool:
        """Whether it is a convolution."""
        return self.operation == "convolution"


class IdentityConfig(LinearFilter, kind="identity"):
    """The image as it is: a kernel of a single 1."""

    def kernels(self, dims: int) -> list[list[Kernel]]:
        """A single 1."""
        return [[np.ones((1,) * dims)]]


class BrightenConfig(LinearFilter, kind="brighten"):
    """All values times a factor above 1; for values that are 0 where it is dark."""

    factor: Annotated[float, Field(gt=1)] = 1.5
    """What values are multiplied by."""

    def kernels(self, dims: int) -> list[list[Kernel]]:
        """The factor alone."""
        return [[np.full((1,) * dims, self.factor)]]


class DarkenConfig(LinearFilter, kind="darken"):
    """All values times a factor below 1; for values that are 0 where it is dark."""

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """What values are multiplied by."""

    def kernels(self, dims: int) -> list[list[Kernel]]:
        """The factor alone."""
        return [[np.full((1,) * dims, self.factor)]]


class MeanConfig(LinearFilter, kind="mean"):
    """The mean of a box of neighbours: smooths."""

    size: PositiveInt = 3
    """Voxels of the box along each axis."""

    def kernels(self, dims: int) -> list[list[Kernel]]:
        """Equal weights along one axis after the other."""
        return [[along(axis, dims, np.full(self.size, 1 / self.size)) for axis in range(dims)]]


class GaussianConfig(LinearFilter, kind="gaussian"):
    """A mean in which near neighbours weigh most: smooths without the edges of a box."""

    sigma_voxels: PositiveFloat = 1.0
    """Standard deviation of the Gaussian, along each axis; its kernel ends after four of them."""

    def kernels(self, dims: int) -> list[list[Kernel]]:
        """A sampled Gaussian along one axis after the other."""
        reach = math.floor(TRUNCATE * self.sigma_voxels + 0.5)
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / self.sigma_voxels) ** 2)
        return [[along(axis, dims, weights / weights.sum()) for axis in range(dims)]]


class SharpenConfig(LinearFilter, kind="sharpen"):
    """What sets a voxel apart from its nearest neighbours, added to it."""

    amount: PositiveFloat = 1.0
    """How much of it: 1 gives the kernel [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]."""

    def kernels(self, dims: int) -> list[list[Kernel]]:
        """The identity less the Laplacian."""
        kernel = -self.amount * _laplacian(dims)
        kernel[(1,) * dims] += 1
        return [[kernel]]


class LaplacianConfig(LinearFilter, kind="laplacian"):
    """The sum of the second differences along all axes: [[0, 1, 0], [1, -4, 1], [0, 1, 0]]; 0 where nothing changes."""

    def kernels(self, dims: int) -> list[list[Kernel]]:
        """1 for each nearest neighbour, and less their number in the middle."""
        return [[_laplacian(dims)]]


class OutlineConfig(LinearFilter, kind="outline"):
    """A voxel against all its neighbours, diagonal ones too: [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]."""

    def kernels(self, dims: int) -> list[list[Kernel]]:
        """-1 for each neighbour, and their number in the middle."""
        kernel = -np.ones((3,) * dims)
        kernel[(1,) * dims] = 3**dims - 1
        return [[kernel]]


class EmbossConfig(DirectedFilter, kind="emboss"):
    """A relief, lit along the diagonal of all axes: [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]."""

    def kernels(self, dims: int) -> list[list[Kernel]]:
        """The sum of the steps from the middle, and 1 in the middle."""
        kernel = np.indices((3,) * dims).sum(0) - float(dims)
        kernel[(1,) * dims] = 1
        return [[kernel]]


def correlated(images: Tensor, kernel: Kernel) -> Tensor:
    """Images (B, C, *spatial) cross-correlated with a kernel, wherever it fits in: (B, C, *smaller).

    Term by term: torch's convolutions may round otherwise with other batch mates.
    """
    sizes = [length - width + 1 for length, width in zip(images.shape[2:], kernel.shape, strict=True)]
    result: Tensor | None = None
    for place in itertools.product(*map(range, kernel.shape)):
        weight = float(kernel[place])
        if weight == 0:
            continue
        part = images
        for axis, (start, size) in enumerate(zip(place, sizes, strict=True), start=2):
            part = part.narrow(axis, start, size)
        term = part * weight
        result = term if result is None else result.add_(term)
    assert result is not None, "a kernel has a weight that is not 0"
    return result


def along(axis: int, dims: int, weights: Kernel) -> Kernel:
    """A kernel of `dims` axes with weights of neighbours along one of them."""
    return weights.reshape([-1 if other == axis else 1 for other in range(dims)])


def _laplacian(dims: int) -> Kernel:
    kernel = np.zeros((3,) * dims)
    kernel[(1,) * dims] = -2.0 * dims
    for axis, place in itertools.product(range(dims), (0, 2)):
        kernel[tuple(place if other == axis else 1 for other in range(dims))] = 1
    return kernel
