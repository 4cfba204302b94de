"""What a network, or several together, say of a prepared case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from hilum.inference.ensemble import Ensemble
from hilum.inference.predictor import Predictor
from hilum.inference.restore import Visit
from hilum.inference.restoring import restored
from hilum.inference.review.numbers import Numbers, confidence_numbers, has_confidence
from hilum.pipeline.predicting.disagreement import Spread
from hilum.pipeline.predicting.probabilities import HELD_BYTES, Store
from hilum.pipeline.predicting.review import Review
from hilum.volume import Grid, Volume

Prepared = Volume | Sequence[Volume]
"""An image as the network takes it, or as each of several does; of a restoration, the image itself."""


@dataclass(frozen=True)
class Answer:
    """Label values (I, J, K) or a restored image (C, I, J, K) on the grid of a case, or what is said of it (outputs,).

    `disagreement` is that of several networks, `numbers` tell for review how sure they are, `probabilities` and
    `spread` are those of a segmentation where they are to be written.
    """

    values: Tensor
    disagreement: float | None = None
    numbers: Numbers = field(default_factory=dict)
    probabilities: Store | None = None
    spread: Spread | None = None


def answer(
    predictor: Predictor | Ensemble,
    prepared: Prepared,
    grid: Grid,
    *,
    review: Review | None,
    store: Store | None,
    spread: Spread | None = None,
) -> Answer:
    """What is said of a case whose image lies on `grid`.

    `store` takes the probabilities of a segmentation, `spread` how far those of several networks are apart.
    """
    kind = predictor.problem.kind
    if kind == "segmentation":
        return _labels(predictor, prepared, grid, review=review, store=store, spread=spread)
    if kind == "restoration":
        return _restored(predictor, prepared)
    said = _whole(predictor, prepared)
    if review is None or not has_confidence(predictor.problem):
        return said
    return Answer(said.values, said.disagreement, confidence_numbers({None: float(said.values.max())}))


def _whole(predictor: Predictor | Ensemble, prepared: Prepared) -> Answer:
    """Probabilities or numbers of the whole image."""
    if isinstance(predictor, Ensemble):
        assert not isinstance(prepared, Volume)
        return Answer(*predictor.classes_and_disagreement(prepared))
    assert isinstance(prepared, Volume)
    return Answer(predictor.classify_prepared([prepared])[0])


def _labels(
    predictor: Predictor | Ensemble,
    prepared: Prepared,
    grid: Grid,
    *,
    review: Review | None,
    store: Store | None,
    spread: Spread | None,
) -> Answer:
    watchers = [] if review is None else review.watchers(predictor)
    told = [each.visit for each in (store, spread) if each is not None]
    visit = _to_all(told) if told else None
    disagreement = None
    if isinstance(predictor, Ensemble):
        assert not isinstance(prepared, Volume)
        labels, disagreement = predictor.labels_and_disagreement(
            prepared, grid, visit=visit, sureness=watchers, hear=None if spread is None else spread.hear
        )
    else:
        assert isinstance(prepared, Volume)
        held_bytes = 0 if store is None else HELD_BYTES
        sureness = next(iter(watchers), None)
        labels = predictor.labels(prepared, grid, visit=visit, sureness=sureness, held_bytes=held_bytes)
    numbers = {} if review is None else review.of_watchers(watchers, predictor)
    return Answer(labels.tensor[0], disagreement, numbers, store, spread)


def _to_all(visits: Sequence[Visit]) -> Visit:
    def visit(voxels: Tensor, probabilities: Tensor) -> None:
        for one in visits:
            one(voxels, probabilities)

    return visit


def _restored(predictor: Predictor | Ensemble, image: Prepared) -> Answer:
    assert isinstance(image, Volume)
    if isinstance(predictor, Ensemble):
        found, disagreement = predictor.restored_and_disagreement(image)
        return Answer(found.tensor, disagreement)
    return Answer(restored(predictor, image).tensor)
