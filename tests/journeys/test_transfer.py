"""A run that starts from another's weights: what it takes and refuses, and what it needs no more once it runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.journeys.conftest import Hilum, read_csv, read_json, read_log, write_csv

from hilum.errors import CheckpointError, ConfigError
from hilum.pipeline.training import resume, train
from hilum.training import checkpoint

CONFIG = """\
name: {name}
task: {{kind: classification, classes: [{classes}]}}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, root: {folder}, label: finding, patient: person}}
  split: {{kind: holdout, val: 0.3, test: 0.2, seed: {seed}}}
  prepare: [{{kind: window, low: 0, high: 255}}]
  batch_size: 4
  cache: {cache}
network: {{kind: resnet, stem: small, width: 2}}
loss: cross_entropy
metrics: [accuracy]
schedule: constant
train: {{epochs: 1, report: false}}
runtime: {{device: cpu, precision: float32, threads: 1}}
runs: {runs}
"""
Write = Callable[..., Path]


def pictures(folder: Path, classes: list[str], *, seed: int) -> Path:
    """Twelve people with a picture each, 20 x 16 pixels."""
    folder.mkdir()
    rng, rows = np.random.default_rng(seed), list[dict[str, Any]]()
    for number in range(12):
        name = f"p{number:02d}"
        Image.fromarray(rng.integers(0, 256, (20, 16), dtype=np.uint8)).save(folder / f"{name}.png")
        rows.append({"image": f"{name}.png", "finding": classes[number % len(classes)], "person": name})
    write_csv(folder / "cases.csv", rows)
    return folder


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Writes an experiment on one of two cohorts, a and b, of whom nobody is in both."""
    home = tmp_path_factory.mktemp("transfer")
    cohorts = {"a": ["ill", "healthy"], "b": ["good", "bad", "unclear"]}
    folders = {name: pictures(home / name, classes, seed=ord(name)) for name, classes in cohorts.items()}

    def make(name: str, cohort: str, *, seed: int = 1, runs: Path = home / "runs") -> Path:
        file = home / f"{name}.yaml"
        classes = ", ".join(cohorts[cohort])
        settings = {"name": name, "classes": classes, "folder": folders[cohort], "seed": seed}
        file.write_text(CONFIG.format(**settings, cache=home / "cache", runs=runs))
        return file

    return make


@pytest.fixture(scope="module")
def before(hilum: Hilum, write: Write) -> Path:
    """The run whose weights others start from."""
    done = hilum("train", write("before", "a"))
    assert done.code == 0, done.text
    return Path(done.out.splitlines()[-1].removeprefix("run folder: "))


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = checkpoint.load(run / "checkpoints" / f"{name}.pt")[0]["model"]
    return {key: tensor.contiguous() for key, tensor in tensors.items()}


STILL = "train.freeze=[conv1, bn1, layer*]"


def test_a_run_gives_its_body_and_keeps_its_head(hilum: Hilum, write: Write, before: Path, tmp_path: Path) -> None:
    done = hilum("train", write("after", "b", runs=tmp_path), f"pretrained={before}", STILL)
    assert done.code == 0, done.text
    given, taken = weights(before, "best"), weights(tmp_path / "after")
    body = [name for name in taken if not name.startswith("fc")]
    assert all(torch.equal(given[name], taken[name]) for name in body)
    assert taken["fc.weight"].shape == (3, 16)
    told = read_json(tmp_path / "after" / "provenance.json")["pretrained"]
    why = "answers with other classes: ill, healthy"
    assert told["anew"] == {"fc.weight": why, "fc.bias": why}
    assert told["file"] == str(before / "checkpoints" / "best.pt")
    assert len(told["sha256"]) == 64
    assert f"anew: fc.weight ({why})" in done.out
    assert "ids that another run knows" in done.out  # p00 to p11 are other people there


def test_a_resumed_run_needs_them_no_more(write: Write, before: Path, tmp_path: Path) -> None:
    gone = Path(shutil.copytree(before, tmp_path / "gone"))
    whole = train(write("whole", "b", runs=tmp_path), [f"pretrained={gone}", "train.epochs=2"])
    half = train(write("half", "b", runs=tmp_path), [f"pretrained={gone}", "train.epochs=1"])
    shutil.rmtree(gone)
    with pytest.raises(ConfigError, match=r"pretrained: .* has learnt its own weights by now"):
        resume(half.folder, [f"pretrained={before}", "train.epochs=2"])
    resume(half.folder, ["train.epochs=2"])
    expected, found = weights(whole.folder), weights(half.folder)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_run_stopped_before_its_first_checkpoint_takes_the_same_again(
    write: Write, before: Path, tmp_path: Path
) -> None:
    file = tmp_path / "given.safetensors"
    save_file(weights(before), file)
    run = train(write("early", "b", runs=tmp_path), [f"pretrained={file}", STILL])
    for name in ("best", "last"):
        run.checkpoint(name).unlink()
    resume(run.folder)
    assert torch.equal(weights(run.folder)["conv1.weight"], weights(before)["conv1.weight"])
    for name in ("best", "last", "previous"):
        run.checkpoint(name).unlink(missing_ok=True)
    save_file({name: value + 1 for name, value in weights(before).items()}, file)
    with pytest.raises(CheckpointError, match=r"changed since .* was started: start a new run instead"):
        resume(run.folder)


def test_whom_the_weights_have_learnt_from_may_not_be_scored(
    hilum: Hilum, write: Write, before: Path, tmp_path: Path
) -> None:
    other = write("other", "a", seed=5, runs=tmp_path)
    seen = {row["case_id"] for row in read_csv(before / "split.csv") if row["part"] != "test"}
    for verb in ("check", "train"):
        hilum(verb, other, f"pretrained={before}").refuses("seen by another run")
        hilum(verb, other, f"pretrained={before}/checkpoints/last.pt").refuses("seen by another run")
    assert seen
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_taken_is_told_before_anything_is_computed(
    hilum: Hilum, write: Write, before: Path, tmp_path: Path
) -> None:
    config = write("wrong", "b", runs=tmp_path)
    for words, told in {
        (f"pretrained={before}", "network=lenet5", "data.prepare=[{kind: resize, size: [32, 32]}]"): "nothing in",
        ("pretrained=nowhere.pt",): "no such file or run folder",
        ("pretrained={weights: nowhere.pt, download: true}",): "expected weights: imagenet",
        (
            "pretrained=imagenet",
            "network=lenet5",
            "data.prepare=[{kind: resize, size: [32, 32]}]",
        ): "no ImageNet weights",
        ("train.freeze_to=layr1",): "did you mean 'layer1'?",
        ("optimizer.lr_scale={layr1: 0.1}",): "did you mean 'layer1'?",
        ("optimizer.lr_scale={conv1: 0.1}", "train.freeze_to=conv1"): "stage 'conv1' is frozen",
        (f"pretrained={before}", "network={kind: resnet, width: 2}", "train.freeze_to=layer1"): "conv1.weight",
    }.items():
        hilum("train", config, *words).refuses(told)
    assert not (tmp_path / "wrong").exists()


def test_a_run_cannot_replace_the_one_that_it_starts_from(
    hilum: Hilum, write: Write, before: Path, tmp_path: Path
) -> None:
    kept = Path(shutil.copytree(before, tmp_path / "kept"))
    config = write("kept", "b", runs=tmp_path)
    for weights_of in (kept, kept / "checkpoints" / "best.pt"):
        hilum("train", config, f"pretrained={weights_of}", "--overwrite").refuses("take another name")
    assert weights(kept, "best")


def test_histograms_change_no_bit_and_the_rate_in_the_log_is_that_of_the_head(write: Write, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    words = ["train.epochs=2", "optimizer={kind: sgd, lr: 0.02, lr_decay: 0.5}"]
    for name, more in (("plain", "false"), ("watched", "true")):
        train(write(name, "b", runs=tmp_path), [*words, f"train.log_histograms={more}"])
    plain, watched = weights(tmp_path / "plain"), weights(tmp_path / "watched")
    assert all(torch.equal(plain[name], watched[name]) for name in plain)
    assert read_log(tmp_path / "plain") == read_log(tmp_path / "watched")
    assert [line["lr"] for line in read_log(tmp_path / "plain")] == [0.02, 0.02]
    events = EventAccumulator(str(tmp_path / "watched" / "tensorboard"), size_guidance={"histograms": 0})
    events.Reload()
    tags = events.Tags()["histograms"]
    assert {"activations/conv1", "weights/layer4.1.conv2", "gradients/fc"} <= set(tags)
    assert [event.step for event in events.Histograms("gradients/conv1")] == [0, 1]


def test_the_inside_of_a_run_is_drawn(hilum: Hilum, before: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(before, tmp_path / "run"))
    done = hilum("report", run, "--inside", "--case", "p03", "--layer", "layer3")
    assert done.code == 0, done.text
    names = {"filters.png", "maps_p03.png", "activations_p03.png", "gradients_p03.png", "gradcam_p03.png"}
    assert {file.name for file in (run / "inside").iterdir()} == names
    hilum("report", run, "--inside", "--case", "p99").refuses("received 'p99', which is not in the data")
    hilum("report", run, "--inside", "--layer", "layr3").refuses("did you mean 'layer3'?")
    hilum("report", run, "--inside", "--part", "tset").refuses("did you mean 'test'?")
    hilum("report", run, "--case", "p03").refuses("add --inside")


def test_the_inside_of_a_segmentation_in_3d_is_drawn(hilum: Hilum, own_run: Path) -> None:
    done = hilum("report", own_run, "--inside")
    assert done.code == 0, done.text
    kinds = {file.name.partition("_")[0].removesuffix(".png") for file in (own_run / "inside").iterdir()}
    assert kinds == {"filters", "maps", "activations", "gradients"}
    hilum("report", own_run, "--inside", "--layer", "head").refuses("the task is segmentation")
