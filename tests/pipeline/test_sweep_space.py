"""The space of a sweep: every combination of a grid once, and every fault of a trial named before any compute."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from hilum.errors import ConfigError
from hilum.experiment import load
from hilum.pipeline.sweeping.space import Axis, Space, overrides_of, refuse_misfits
from hilum.training.sweep_section import RangeConfig, SweepConfig

CONFIG = """\
name: x
task: {kind: segmentation, classes: [background, organ]}
data:
  source: {kind: csv_table, file: cases.csv, patient: patient}
  patch: {size: [16, 16, 16]}
network: {kind: unet, channels: [4, 8]}
loss: dice
metrics: [dice, hd95]
train: {epochs: 4}
"""
FIRST_LINE_OF_SPACE = 12
Check = Callable[..., list[str]]


@pytest.fixture
def faults(tmp_path: Path) -> Check:
    """What is wrong with a space, as `hilum sweep` says it; each line of it stands on a line of the file."""

    def check(*lines: str, more: str = "", overrides: tuple[str, ...] = ()) -> list[str]:
        file = tmp_path / "x.yaml"
        space = "\n".join(f"    {line}" for line in lines)
        file.write_text(f"{CONFIG}sweep:\n  space:\n{space}\n  {more}\n")
        try:
            experiment = load(file, overrides)
            assert experiment.sweep is not None
            refuse_misfits(file, overrides, experiment, experiment.sweep)
        except ConfigError as error:
            return [str(fault).removeprefix(f"{tmp_path}/") for fault in error.faults]
        return []

    return check


def test_a_space_that_fits(faults: Check) -> None:
    shown = (
        "data.workers: {low: 1, high: 3}",
        "network.channels: [[4, 8], [4, 8, 16]]",
        "data.patch.size.0: [8, 16]",
        "loss: [dice, {kind: dice_ce}]",
    )
    assert faults(*shown) == []
    assert faults("optimizer: {lr: [1e-3, 1e-2]}") == []  # nested, as an override on the command line makes it


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("optimizer.lrr: [1e-3, 1e-2]", "unknown key 'lrr'; did you mean 'lr'?"),
        ("train.epochs: [2, many]", "with many: received 'many', expected a whole number"),
        ("train.epochs: {low: 1.0, high: 4.0}", "expected a whole number"),
        ("network.dropout: {low: 0.0, high: 2.0}", "with 2.0: received 2.0, expected less than"),
        ("network.kind: [unet, unett]", "did you mean 'unet'?"),
        ("network.channels: [[4, 8], 3]", "with 3: received 3, expected a list"),
        ("network.channels: [[4, 8], [4, 8, 16, 32, 64, 128, 256]]", "16"),
        ("optimizer.lr: {low: 1, high: 2}", "write 1.0 and 2.0, or step: 1"),
        ("optimizer.lr: [0.1, 0.1]", "lists 0.1 twice"),
        ("name: [a, b]", "'name' is the same for all trials"),
        ("metrics.0: [dice, hd95]", "'metrics' is the same for all trials"),
        ("sweep.seed: [1, 2]", "'sweep' is the same for all trials"),
        ("optimizer.lr: {low: 2.0, high: 1.0}", "expected low below high"),
        ("optimizer.lr: {low: 0.0, high: 1.0, log: true}", "low above 0"),
        ("optimizer.lr: {low: 0.0, high: 1.0, step: 0.3}", "a whole number of steps above low"),
        ("optimizer.lr: {low: 0.1, high: 1.0, log: true, step: 0.1}", "log or step, not both"),
        ("optimizer.lr: {low: 0.1, hihg: 1.0}", "did you mean 'high'?"),
        ("optimizer.lr: 0.1", "received 0.1, expected a list"),
        ("optimizer.lr: []", "at least 1"),
    ],
)
def test_a_fault_is_named_with_its_line(faults: Check, line: str, said: str) -> None:
    found = faults("train.accumulate: [1, 2]", line)
    assert any(said in fault for fault in found), found
    space_or_section = (f"x.yaml:{FIRST_LINE_OF_SPACE + 1}: sweep.space.", "x.yaml:5: data.patch.size")
    assert all(fault.startswith(space_or_section) for fault in found), found


def test_faults_of_combinations_are_found_and_said_once(faults: Check) -> None:
    # Either alone fits: four levels need a patch of 8 at least.
    lines = ("data.patch.size: [[4, 16, 16], [16, 16, 16]]", "network.channels: [[4, 8], [4, 8, 16, 32]]")
    found = faults(*lines, "train.clip_norm: [1.0, 2.0, 3.0]")
    assert len(found) == 1, found
    assert found[0].startswith("x.yaml:12: sweep.space.data.patch.size: patch axis 0 is 4")
    assert "in the trial data.patch.size=[4, 16, 16], network.channels=[4, 8, 16, 32], train.clip_norm=1.0" in found[0]


def test_keys_that_get_in_each_others_way(faults: Check) -> None:
    assert "stands inside 'network' or around it" in faults("network: [unet]", "network.channels: [[4, 8]]")[0]
    assert "optimizer.lr=..." in faults("optimizer.lr: [0.1, 0.2]", overrides=("optimizer.lr=0.3",))[0]
    monitor = "train: [{epochs: 2}, {epochs: 2, monitor: hd95}]"
    assert "scores of different metrics" in faults(monitor)[0]


@pytest.mark.parametrize(
    ("lines", "more", "said"),
    [
        (["train.epochs: [1, 2, 3]"], "trials: 4", "there are only 3 combinations"),
        (["train.epochs: [1, 2, 3]"], "{sampler: grid, trials: 2}", "the grid has 3: remove the key"),
        (["optimizer.lr: {low: 0.1, high: 1.0}"], "sampler: grid", "a grid needs a list, or a range with a step"),
        (["train.epochs: {low: 1, high: 9, log: true}"], "sampler: grid", "write a list instead"),
    ],
)
def test_the_number_of_trials_fits_the_space(faults: Check, lines: list[str], more: str, said: str) -> None:
    more = "\n  ".join(more.strip("{}").split(", "))
    assert said in faults(*lines, more=more)[0]


def test_a_grid_is_the_product_of_its_axes() -> None:
    axes: dict[str, list[object]] = {"a": [1, 2, 3], "b": ["x", [4, 8]], "c": [0.0, 0.25, 0.5]}
    space = Space(
        (
            Axis("a", RangeConfig(low=1, high=3)),
            Axis("b", ("x", [4, 8])),
            Axis("c", RangeConfig(low=0.0, high=0.5, step=0.25)),
        )
    )
    assert space.count == 18
    settings = [space.setting(space.combination(index)) for index in range(18)]
    assert settings == [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


@pytest.mark.parametrize("value", [1, 1e-05, 0.1 + 0.2, True, None, "yes", "001", "a: b", [4, 8], {"kind": "sgd"}])
def test_a_setting_reads_back_from_its_override(value: object) -> None:
    from hilum.yaml_text import plain

    (text,) = overrides_of({"key.inner": value})
    read_back = plain(text.removeprefix("key.inner="))
    assert read_back == value
    assert type(read_back) is type(value)


def test_a_range_counts_its_numbers() -> None:
    assert RangeConfig(low=2, high=8).count == 7
    assert RangeConfig(low=0.0, high=1.0, step=0.1).count == 11
    assert RangeConfig(low=0.0, high=1.0).count is None
    assert SweepConfig.model_validate({"space": {"a": [1]}}).trials is None
