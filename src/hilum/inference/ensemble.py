"""Several networks that answer as one: the mean of their probabilities, and how much they disagree."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hilum.inference.postprocess.apply import postprocessed
from hilum.inference.predictor import Predictor
from hilum.inference.restore import Visit
from hilum.inference.restoring import restored
from hilum.inference.review.sureness import Sureness
from hilum.problem import Problem
from hilum.volume import Grid, Volume

if TYPE_CHECKING:
    from hilum.case import ImageRef
    from hilum.inference.postprocess.base import PostprocessConfig

Hear = Callable[[Tensor, Tensor, float], None]
"""Is given what one network says of voxels, as `Visit` is, and its share."""
MEMORY_BYTES = 2**31
"""Mean probabilities of up to 2 GiB are kept in memory, or up to a quarter of a limit; else in a temporary file."""
SLAB_VOXELS = 2**20
"""Voxels that are decided, or compared, at a time."""


@dataclass(frozen=True)
class Ensemble:
    """Networks with the same classes and channels, and the share of each, which sum up to 1.

    They may be prepared differently, be of other dimensions and have other windows: their probabilities meet on the
    grid of the image, and are post-processed once. The networks themselves have no post-processing.
    """

    members: tuple[Predictor, ...]
    shares: tuple[float, ...]
    postprocess: Sequence[PostprocessConfig] = ()

    @classmethod
    def of(cls, members: Sequence[Predictor], shares: Sequence[float]) -> Ensemble:
        """The ensemble of networks that share the post-processing of the first."""
        bare = tuple(replace(member, postprocess=()) for member in members)
        return cls(bare, tuple(shares), members[0].postprocess)

    @property
    def problem(self) -> Problem:
        """What all of them answer."""
        return self.members[0].problem

    @property
    def may_lack_channels(self) -> bool:
        """Whether all of them take images that lack some of their channels."""
        return all(member.may_lack_channels for member in self.members)

    def read(self, refs: Sequence[ImageRef | None]) -> Volume:
        """The image of a case from its files. Raises DataError where one of the networks cannot take it."""
        strictest = min(self.members, key=lambda member: member.may_lack_channels)
        return strictest.read(refs)

    def prepared(self, image: Volume) -> tuple[Volume, ...]:
        """The image as each of the networks takes it; what is prepared alike is one and the same."""
        found: list[Volume] = []
        for number, member in enumerate(self.members):
            alike = [one for one in range(number) if self._steps(one) == self._steps(number)]
            found.append(found[alike[0]] if alike else member.prepared(image))
        return tuple(found)

    def segment(self, image: Volume) -> Volume:
        """Label values (1, I, J, K) on the grid of `image`, by the mean of the probabilities, on the CPU."""
        return self.labels(self.prepared(image), image.grid)

    def labels(self, prepared: Sequence[Volume], source: Grid) -> Volume:
        """Label values (1, I, J, K) on the grid `source` from the image as each network takes it."""
        return self.labels_and_disagreement(prepared, source)[0]

    def classify(self, image: Volume) -> Tensor:
        """The mean of the probabilities (num_outputs,), on the CPU."""
        return self.classes_and_disagreement(self.prepared(image))[0]

    def labels_and_disagreement(
        self,
        prepared: Sequence[Volume],
        source: Grid,
        *,
        visit: Visit | None = None,
        sureness: Sequence[Sureness | None] = (),
        hear: Hear | None = None,
    ) -> tuple[Volume, float]:
        """Label values (1, I, J, K), and 1 minus the mean Dice of pairs of networks: 0 where all say the same.

        The mean is over the pairs and over the structures that either of the two sees. Low agreement of samples of a
        network's answer in this sense tells of low Dice with the truth (Roy et al. 2019,
        doi:10.1016/j.neuroimage.2019.03.042). `visit` is given the mean probabilities, some voxels at a time;
        `sureness` has one for each network, where it is to be measured; `hear` is given the probabilities of each
        network, one after the other and before the mean.
        """
        watching = sureness or (None,) * len(self.members)
        votes: list[npt.NDArray[np.integer]] = []
        voxels = math.prod(source.shape)
        with _zeros((self.problem.num_outputs, voxels), most_bytes=self._most_bytes) as (total, own_bytes):
            held_bytes = own_bytes + sum(volume.tensor.nbytes for volume in {id(one): one for one in prepared}.values())
            for member, share, image, sure in zip(self.members, self.shares, prepared, watching, strict=True):

                def add(where: Tensor, probabilities: Tensor, share: float = share) -> None:
                    total[:, where.cpu()] += share * probabilities.cpu()
                    if hear is not None:
                        hear(where, probabilities, share)

                held = (
                    held_bytes - image.tensor.nbytes + sum(vote.nbytes for vote in votes) + self._others_bytes(member)
                )
                labels = member.labels(image, source, visit=add, sureness=sure, held_bytes=held)
                votes.append(labels.tensor.flatten().numpy())
            values = np.concatenate([self._decided(total[:, part]) for part in _slabs(voxels)]).reshape(source.shape)
            if visit is not None:
                for part in _slabs(voxels):
                    visit(torch.arange(part.start, part.stop), total[:, part])
        if self.postprocess:
            values = postprocessed(values, source, steps=self.postprocess, problem=self.problem)
        return Volume(torch.from_numpy(values)[None], source), _unlike_labels(votes, self.problem)

    def classes_and_disagreement(self, prepared: Sequence[Volume]) -> tuple[Tensor, float]:
        """Mean answers (num_outputs,), and the mean over pairs of networks of how far theirs are apart.

        That is the total variation distance, from 0 to 1; of classes that do not exclude each other, the mean of it; of
        numbers, the mean distance in standard deviations of the training part, or in the unit where there are none.
        """
        found = [member.classify_prepared([image])[0] for member, image in zip(self.members, prepared, strict=True)]
        mean = sum(share * one for share, one in zip(self.shares, found, strict=True))
        assert isinstance(mean, Tensor)
        count = 2 if self.problem.exclusive else self.problem.num_outputs
        stds = torch.tensor([std for _, std in self.problem.scales] or [1.0])
        apart = [float(((one - other).abs() / stds).sum()) / count for one, other in itertools.combinations(found, 2)]
        return mean, sum(apart) / len(apart)

    def restored_and_disagreement(self, image: Volume) -> tuple[Volume, float]:
        """The mean of the restored images (C, I, J, K), and the mean absolute difference of pairs of them."""
        found = [restored(member, image).tensor for member in self.members]
        mean = sum(share * one for share, one in zip(self.shares, found, strict=True))
        assert isinstance(mean, Tensor)
        apart = [float((one - other).abs().mean()) for one, other in itertools.combinations(found, 2)]
        return Volume(mean, image.grid), sum(apart) / len(apart)

    def _decided(self, probabilities: Tensor) -> npt.NDArray[np.integer]:
        """Label values (n,) from sums (num_outputs, n); where a network saw nothing, its share is background."""
        if self.problem.exclusive:
            probabilities[0] += 1 - probabilities.sum(0)
        return np.asarray(self.problem.decode(probabilities).numpy())

    @property
    def _most_bytes(self) -> int:
        """Most memory for the mean probabilities."""
        limits = [member.memory_bytes // 4 for member in self.members if member.memory_bytes is not None]
        return min([MEMORY_BYTES, *limits])

    def _others_bytes(self, member: Predictor) -> int:
        """What the weights of all networks but one take."""
        others = [other.model for other in self.members if other is not member]
        return sum(weights.nbytes for model in others for weights in (*model.parameters(), *model.buffers()))

    def _steps(self, number: int) -> list[object]:
        return list(self.members[number].prepare)


@contextmanager
def _zeros(shape: tuple[int, int], *, most_bytes: int) -> Iterator[tuple[Tensor, int]]:
    """Zeros and the bytes that they take in memory; where these would be more than so many, they lie in a file."""
    count = math.prod(shape)
    if 4 * count <= most_bytes:
        yield torch.zeros(shape), 4 * count
        return
    with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
        yield torch.from_file(str(Path(folder) / "mean"), shared=True, size=count, dtype=torch.float32).view(shape), 0


def _slabs(count: int) -> Iterator[slice]:
    return (slice(start, min(start + SLAB_VOXELS, count)) for start in range(0, count, SLAB_VOXELS))


def _unlike_labels(votes: Sequence[npt.NDArray[np.integer]], problem: Problem) -> float:
    """1 minus the mean Dice of pairs of label maps (n,), over the structures that either of the two has."""
    values = np.unique([0, *(int(value) for group in problem.values for value in group)])
    members = problem.membership(values)
    unlike = []
    for one, other in itertools.combinations(votes, 2):
        counts = sum(_overlap(one[part], other[part], values) for part in _slabs(len(one)))
        both = np.einsum("sa,ab,sb->s", members, counts, members)
        either = members @ np.sum(counts, 1) + members @ np.sum(counts, 0)
        unlike.append(1 - float(np.mean(2 * both[either > 0] / either[either > 0])) if either.any() else 0.0)
    return sum(unlike) / len(unlike)


def _overlap(
    one: npt.NDArray[np.integer], other: npt.NDArray[np.integer], values: npt.NDArray[np.integer]
) -> npt.NDArray[np.int64]:
    """How many voxels have each pair of label values, (values, values)."""
    codes = np.searchsorted(values, one) * len(values) + np.searchsorted(values, other)
    return np.bincount(codes, minlength=len(values) ** 2).reshape(len(values), len(values))
