"""`hilum report RUN --inside`: pictures of what a trained network has learnt and of what it does with a case."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hilum.augment.base import Frame
from hilum.case import Case, Cohort
from hilum.data.dataset import Dataset, Sampling
from hilum.data.loader import collate
from hilum.data.modalities import is_missing
from hilum.data.splits.base import PARTS, Part, received_part
from hilum.data.splits.base import restore as restore_split
from hilum.data.store import Store
from hilum.errors import ConfigError, SplitError, nearest
from hilum.layers.gradcam import grad_cam, map_layer, refuse_unknown_layer
from hilum.layers.probe import outputs_of, stage_modules, weighted_layers
from hilum.pipeline.degrading import degraded
from hilum.pipeline.restore import Restored, restore
from hilum.report.inside import Heat, filters_picture, gradcam_picture, histograms_picture, maps_picture
from hilum.run import Run, open_run
from hilum.tracking.tensorboard import TensorBoard
from hilum.training.histograms import layer_values

Say = Callable[[str], None]
FOLDER = "inside"
MOST_CASES = 4
"""Cases that are shown where none is named: the first one of each class; of an answer a voxel only the first one."""
GRADCAM_TASKS = ("classification", "multilabel")
"""Tasks that answer with classes or findings of a whole image, for each of which Grad-CAM has a map."""
MOST_CLASSES = 6
"""Classes or findings whose maps are shown: the likeliest ones, and the true ones."""


@dataclass(frozen=True)
class Look:
    """What to look at: cases by id, else some of a part (val by default), and the layer of Grad-CAM, else the last."""

    _: KW_ONLY
    cases: tuple[str, ...] = ()
    part: str | None = None
    layer: str | None = None


def look_inside(
    folder: Path | str,
    look: Look = Look(),
    *,
    output: Path | str | None = None,
    overrides: Sequence[str] = (),
    say: Say = print,
) -> list[Path]:
    """The PNG files that were written, by default into RUN/inside; the run's TensorBoard shows them too.

    The filters of the first layer; and for each case what it is at every stage, histograms of activations and of the
    gradients of its loss, and Grad-CAM for each class or finding. A case is shown as training sees it: after
    preparation and data.degrade, one slice of it in a 2D network, one patch around a structure where there are patches.
    Raises SplitError for a case or a part that there is not, ConfigError for a layer that gives no maps,
    CheckpointError where the folder is no run.
    """
    run = open_run(Path(folder))
    restored = restore(run, overrides)
    if look.layer is not None and restored.problem.kind not in GRADCAM_TASKS:
        tasks = " and ".join(GRADCAM_TASKS)
        raise ConfigError(f"--layer: Grad-CAM is for {tasks}, the task is {restored.problem.kind}: remove it")
    if look.layer is not None:
        refuse_unknown_layer(restored.model, look.layer)
    if look.cases and look.part is not None:
        raise ConfigError("--part: the cases are named by --case: remove one of the two")
    cohort = restored.experiment.data.source.cohort(restored.problem.kind)
    chosen = _chosen(run, cohort, look, restored)
    out = Path(output) if output is not None else run.folder / FOLDER
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    epoch = int(restored.facts["position"]["epoch"])
    with ExitStack() as stack:
        board = stack.enter_context(TensorBoard(run.tensorboard, say=say)) if output is None else None
        for file in _files(restored, chosen, out, layer=look.layer, say=say):
            say(str(file))
            written.append(file)
            if board is not None:
                board.pictures({f"{FOLDER}/{file.stem}": file.read_bytes()}, epoch=epoch)
    return written


def _files(restored: Restored, cases: Sequence[Case], out: Path, *, layer: str | None, say: Say) -> Iterator[Path]:
    """Draw one picture after the other."""
    found = first_filters(restored)
    if found is None:
        say("note: the first layer has no filters that are pictures: none are drawn")
    else:
        name, filters = found
        filters_picture(filters, out / "filters.png", layer=name, channels=restored.problem.channels)
        yield out / "filters.png"
    for case in cases:
        yield from _of_case(restored, case, out)
        if restored.problem.kind in GRADCAM_TASKS:
            yield from _where(restored, case, out, layer=layer, say=say)


def _of_case(restored: Restored, case: Case, out: Path) -> Iterator[Path]:
    """The pictures of one case that every task has."""
    problem, experiment, model = restored.problem, restored.experiment, restored.model
    image, target = _sample(restored, case)
    stem, shown = _stem(case), _shown(image)
    with torch.no_grad(), outputs_of(model, stage_modules(model)) as seen:
        model(image)
    stages = {stage: output[0].float().numpy() for stage, output in seen.items() if output.ndim == image.ndim}
    if stages:
        maps_picture(shown, stages, out / f"maps_{stem}.png", title=f"Case {case.id}: what each stage gives")
        yield out / f"maps_{stem}.png"
    values = layer_values(model, experiment.build_loss(problem), image, target)
    kernels = [name for name in weighted_layers(model) if _has_kernels(model.get_submodule(name))]
    for kind, told in (("activations", "what each layer gives"), ("gradients", "gradient of the loss by the weights")):
        own = {name: values[key] for name in kernels if (key := f"{kind}/{name}") in values}
        if own:
            file = out / f"{kind}_{stem}.png"
            histograms_picture(own, file, title=f"Case {case.id}: {told}", sizes_only=kind == "gradients")
            yield file


def _where(restored: Restored, case: Case, out: Path, *, layer: str | None, say: Say) -> Iterator[Path]:
    """Grad-CAM of one case; a note where no layer was named and the network has none that gives maps."""
    image, target = _sample(restored, case)
    used = map_layer(restored.model, image, layer)
    if used is None:
        say("note: no stage of the network gives feature maps of more than one voxel: there is no Grad-CAM")
        return
    if restored.problem.kind == "classification":
        truth = {int(target)}
    else:
        truth = set(torch.nonzero(target[0] == 1).flatten().tolist())
    heats = _heats(restored, image, truth=truth, layer=used)
    file = out / f"gradcam_{_stem(case)}.png"
    gradcam_picture(_shown(image), heats, file, title=f"Case {case.id}: Grad-CAM at {used}")
    yield file


def _stem(case: Case) -> str:
    """The id as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", case.id)


def _has_kernels(layer: nn.Module) -> bool:
    """Whether a layer has weights beside those of a normalisation."""
    return any(parameter.ndim > 1 for parameter in layer.parameters(recurse=False))


def _heats(restored: Restored, image: Tensor, *, truth: set[int], layer: str) -> list[Heat]:
    """The maps of the likeliest classes or findings and of the true ones, likeliest first."""
    with torch.no_grad():
        probabilities = restored.problem.probabilities(restored.model(image))[0]
    order = probabilities.argsort(descending=True).tolist()
    chosen = [index for place, index in enumerate(order) if place < MOST_CLASSES or index in truth]
    return [
        Heat(
            restored.problem.classes[index],
            float(probabilities[index]),
            grad_cam(restored.model, image, index, layer=layer).numpy(),
            index in truth,
        )
        for index in chosen
    ]


def first_filters(restored: Restored) -> tuple[str, npt.NDArray[np.float32]] | None:
    """The name of the first layer and its filters (O, C, *spatial); None where they are no pictures.

    Of a fully connected layer that sees all voxels: the weights of each unit, as an image.
    """
    problem = restored.problem
    for name, module in restored.model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            return name, module.weight.detach().numpy()
        if isinstance(module, nn.Linear):
            shape = (problem.num_channels, *(problem.size or ()))
            fits = problem.size is not None and module.in_features == int(np.prod(shape))
            return (name, module.weight.detach().reshape(-1, *shape).numpy()) if fits else None
    return None


def _sample(restored: Restored, case: Case) -> tuple[Tensor, Tensor]:
    """A case as training sees it: image (1, C, *spatial) and target (1, ...)."""
    data = restored.experiment.data
    sampling = Sampling(
        patch=data.patch.size if data.patch else None,
        foreground=1.0,
        slice_axis=data.slice_axis if restored.problem.dims == 2 else None,
    )
    store = Store(data.cache, restored.problem, data.prepare)
    dataset = Dataset([case], store, sampling=sampling, seed=restored.experiment.runtime.seed)
    batch = collate([dataset.sample(0, epoch=0, index=0)], epoch=0, indices=(0,))
    axis = 2 if sampling.slice_axis is None else sampling.slice_axis
    frame = Frame.of(
        dataset.prepared(0).grid, tuple(batch.images.shape[2:]), channels=batch.images.shape[1], slice_axis=axis
    )
    batch = degraded(batch, restored.experiment, frame)
    return batch.images, batch.targets


def _shown(image: Tensor) -> npt.NDArray[np.float32]:
    """The first channel (*spatial) that is not missing."""
    there = next((channel for channel in image[0] if not is_missing(channel)), image[0, 0])
    return there.numpy()


def _chosen(run: Run, cohort: Cohort, look: Look, restored: Restored) -> list[Case]:
    """The cases to look at."""
    known = {case.id: case for case in cohort.cases}
    for wanted in look.cases:
        if wanted not in known:
            close = nearest(wanted, known)
            hint = f"; did you mean '{close}'?" if close else ""
            raise SplitError(f"--case: received '{wanted}', which is not in the data{hint}")
    if look.cases:
        return [known[wanted] for wanted in look.cases]
    cases = restore_split(run.split, cohort.cases, notes=()).part(_part(look.part or "val"))
    if not cases:
        raise SplitError(f"the split of {run.folder} has no {look.part or 'val'} part: name a case with --case")
    if restored.problem.dense:
        return [cases[0]]
    first: dict[str, Case] = {}
    for case in cases:
        first.setdefault(str(case.label), case)
    return list(first.values())[:MOST_CASES]


def _part(part: str) -> Part:
    for name in PARTS:
        if name == part:
            return name
    raise SplitError(received_part(part))
