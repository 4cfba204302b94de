"""A user's mistakes, on the installed command and on `hilum check`: each is a message that says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.journeys.conftest import Hilum

FIVE_MISTAKES = """\
name: wrong
task: {kind: segmentation, classes: {background: 0, organ: 1}}
data:
  source: {kind: phantom, folder: phantom}
  prepare: [canonical, {kind: spacng, mm: [2, 2, 2]}]
  patch: {size: [50, 48, 48]}
  bach_size: 2
network: {kind: unet, channels: [8, 16, 32, 64, 128]}
loss: dice_ce
metrics: [dice, auroc]
optimizer: {kind: adamw, lr: fast}
train: {epochs: -3}
"""


def test_five_mistakes_are_five_lines(command: Hilum, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(FIVE_MISTAKES)
    done = command("check", "wrong.yaml", cwd=tmp_path)
    done.refuses("spacng", "spacing", "bach_size", "batch_size", "50", "48", "auroc", "lr", "-3")
    lines = {int(number) for number in re.findall(r"^wrong\.yaml:(\d+): ", done.err, flags=re.MULTILINE)}
    assert lines >= {5, 6, 7, 10, 11, 12}
    assert not (tmp_path / "runs").exists()
    train = command("train", "wrong.yaml", cwd=tmp_path)
    train.refuses("spacng", "bach_size")


def test_a_good_configuration_passes_and_trains_nothing(
    command: Hilum, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    done = command("check", write_config(tmp_path))
    assert done.code == 0, done.text
    assert "all checks passed" in done.out
    assert re.search(r"\d+ cases of 6 patients", done.out)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trian", "x.yaml"], "train"),
        (["train"], "CONFIG"),
        (["train", "train.epochs=2"], "CONFIG"),
        (["train", "absent.yaml"], "absent.yaml: no such file"),
        (["check", "."], "expected a YAML file"),
        (["predict", "run", "input"], "output"),
        (["list", "networs"], "networks"),
        (["list", "networks", "unett"], "unet"),
        (["schema", "--plugin", "absent.py"], "absent.py: no such file"),
    ],
)
def test_typing_mistakes(
    hilum: Hilum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    hilum(*words).refuses(expected)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epochs", "key=value"),
        ("train.epoch=2", "epochs"),
        ("train.epochs=two", "two"),
        ("data.split={kind: holdot}", "holdout"),
        ("task.classes={background: 0, organ: 1}", "[2]"),
        ("data.patch.size=[16, 16]", ""),
        ("data.batch_size=0", "batch_size"),
        ("runtime.device=cuda:7", "runtime.device"),
        ("runtime.precision=float16", "CUDA"),
        ("schedule.warmup=1000", "warmup"),
        ("data.slice_axis=1", "slice_axis"),
        ("data.augment=[{kind: flip, axes: [left_rigth]}]", "left_right"),
        ("predict.flips=[up]", "up"),
        ("loss={kind: cross_entropy, class_weights: {orgn: 2}}", "organ"),
        ("train.monitor=dicee", "dice"),
        ("data.split={kind: kfold, folds: 50, fold: 40}", "fold: received 40, expected 0 to"),
        ("name=a/b", "name"),
        ("plugins=[absent.py]", "absent.py"),
    ],
)
def test_a_setting_that_cannot_apply_is_refused_before_training(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path, override: str, expected: str
) -> None:
    config = write_config(tmp_path)
    two_dimensional = override == "data.patch.size=[16, 16]"  # means slices, and is no mistake
    for verb in ("check", "train"):
        done = hilum(verb, config, override)
        if two_dimensional:
            assert done.code == 0, done.text
        else:
            done.refuses(expected)
            assert not list(tmp_path.glob("runs/*/checkpoints/*"))
