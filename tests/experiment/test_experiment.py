"""A whole configuration: what sections have to agree about, all faults in one list, and dump and load."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.config import validate
from hilum.errors import ConfigError
from hilum.experiment import Experiment, diagnose, load
from hilum.yaml_text import Document, dump, parse

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
GOOD = """\
name: good
task: {kind: segmentation, classes: {background: 0, organ: 1}}
data:
  source: {kind: phantom}
  patch: {size: [32, 32, 32]}
network: {kind: unet, channels: [4, 8]}
loss: dice_ce
metrics: [dice]
"""


def faults_of(folder: Path, *overrides: str, text: str = GOOD) -> list[str]:
    file = folder / "a.yaml"
    file.write_text(text)
    return [str(fault).removeprefix(f"{file}:") for fault in diagnose(file, overrides).faults]


def test_a_good_one_has_no_fault_and_all_defaults(tmp_path: Path) -> None:
    assert faults_of(tmp_path) == []
    experiment = load(tmp_path / "a.yaml")
    assert (experiment.optimizer.kind, experiment.schedule.kind, experiment.monitor) == ("adamw", "cosine", "dice")


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_shipped_configuration_has_no_fault(file: Path) -> None:
    assert diagnose(file).faults == []


@pytest.mark.parametrize(
    ("override", "field", "words"),
    [
        ("metrics=[dice, auroc]", "metrics.1", "metric 'auroc' is for classification, the task is segmentation"),
        ("metrics=[dice, dice]", "metrics.1", "a second metric with the column 'dice'"),
        ("metrics=[]", "metrics", "at least 1"),
        (
            "train.monitor=dicee",
            "train.monitor",
            "received 'dicee', expected one of the metrics dice; did you mean 'dice'",
        ),
        ("metrics=[volume_error, dice]", "metrics.0", "is better than another; expected train.monitor to be dice"),
        ("metrics=[dice, {kind: lesion_f1, iou: 0.2}]", "metrics.1", "received matching: overlap"),
        ("network={kind: resnet}", "network", "network 'resnet' is for classification"),
        ("loss={kind: cross_entropy, class_weights: {organ: 2, orgam: 3}}", "loss", "orgam"),
        ("data.patch.size=[33, 32, 32]", "data.patch.size", "33"),
        ("network.strides=[[2, 2]]", "network", "strides: received [2, 2] for level 1, expected 3 numbers"),
        ("data.dims=2", "data.patch.size", "received 3 numbers, expected 2"),
        ("task.regions={a: 1}", "task", "either classes (exclusive) or regions"),
        ("name=a/b", "name", "letters"),
        ("plugins=[nothing.py]", "plugins.0", "no such file"),
    ],
)
def test_sections_have_to_agree(tmp_path: Path, override: str, field: str, words: str) -> None:
    found = faults_of(tmp_path, override)
    assert any(f": {field}: " in fault and words in fault for fault in found), found


def test_sections_at_fault_do_not_hide_what_the_others_disagree_about(tmp_path: Path) -> None:
    found = faults_of(
        tmp_path,
        "name=",
        "data.source=phantoom",
        "data.prepare=[nonsense, zscore]",
        "metrics=[dise, accuracy, dice]",
        "loss=",
        "data.patch.size=[33, 32, 32]",
    )
    for words in ("phantoom", "nonsense", "'dise'", "metrics.1: metric 'accuracy'", "33", "name", "loss"):
        assert any(words in fault for fault in found), (words, found)


def test_a_network_at_fault_is_not_checked_further(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "network.kind=unnet", "data.patch.size=[33, 32, 32]")
    assert "did you mean 'unet'" in fault
    (fault,) = faults_of(tmp_path, "network.chanels=[4, 8]")
    assert "did you mean 'channels'" in fault


def test_nothing_but_a_name(tmp_path: Path) -> None:
    found = faults_of(tmp_path, text="name: x\n")
    assert [fault.split(": ")[1] for fault in found] == ["task", "data", "network", "loss", "metrics"]
    assert all(fault.startswith("1: ") and "is required and missing: " in fault for fault in found)


def test_load_raises_all_faults(tmp_path: Path) -> None:
    faults_of(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "a.yaml", ["train.epohcs=2", "data.batch_size=0", "loss=dic"])
    assert len(caught.value.faults) == 3


def test_two_plugins_of_one_name_are_refused(tmp_path: Path) -> None:
    """A run keeps copies of its plugins side by side: the second would replace the first."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same_name.py").write_text('"""Nothing."""\n')
    (fault,) = faults_of(tmp_path, "plugins=[a/same_name.py, b/same_name.py]")
    assert "plugins.1: a second file named same_name.py: rename one of them" in fault


def test_plugins_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text('"""Nothing."""\n')
    assert faults_of(tmp_path, "plugins=[./mine.py]") == []
    assert load(tmp_path / "a.yaml", ["plugins=[mine.py]"]).plugins == (tmp_path / "mine.py",)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_resolved_configuration_is_the_same_experiment(file: Path, tmp_path: Path) -> None:
    experiment = load(file)
    resolved = tmp_path / "config.yaml"
    resolved.write_text(dump(experiment.model_dump(mode="json")), encoding="utf-8")
    assert load(resolved) == experiment


plain_names = st.text("abcXYZ019", min_size=1, max_size=6)
sections = st.fixed_dictionaries(
    {
        "name": plain_names,
        "task": st.fixed_dictionaries(
            {
                "kind": st.just("segmentation"),
                "classes": st.lists(plain_names, min_size=2, max_size=4, unique=True),
                "ignore": st.none() | st.integers(200, 255),
            }
        ),
        "data": st.fixed_dictionaries(
            {
                "source": st.fixed_dictionaries({"kind": st.just("phantom"), "folder": plain_names}),
                "batch_size": st.integers(1, 8),
                "memory_gb": st.floats(1e-6, 1e6),
                "prepare": st.lists(
                    st.sampled_from(["canonical", "zscore", {"kind": "spacing", "mm": [1.0, None, 1e-5]}]), max_size=3
                ),
            }
        ),
        "network": st.just("unet"),
        "loss": st.sampled_from(["dice", "dice_ce", {"kind": "focal"}]),
        "metrics": st.just("dice") | st.just(["dice", "iou"]),
        "optimizer": st.fixed_dictionaries({"kind": st.sampled_from(["adam", "sgd"]), "lr": st.floats(1e-12, 10)}),
        "train": st.fixed_dictionaries({"epochs": st.integers(1, 10**6), "ema": st.none() | st.floats(0.1, 0.999)}),
    }
)


@given(sections)
def test_dump_and_read_give_the_same_experiment(data: dict[str, Any]) -> None:
    first = Experiment.model_validate(data)
    document = Document(Path("a.yaml"), {})
    document.data = parse(dump(first.model_dump(mode="json")), document)
    reading = validate(document, Experiment)
    assert reading.faults == []
    assert reading.model == first


def test_settings_of_a_section_that_the_file_leaves_out_can_be_overridden(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(GOOD)
    plain, changed = load(file), load(file, ["schedule.warmup=3", "optimizer.lr=0.25", "data.split.val=0.1"])
    assert (changed.schedule.kind, changed.optimizer.kind, changed.data.split.kind) == ("cosine", "adamw", "holdout")
    assert (changed.schedule.warmup, changed.optimizer.lr) == (3, 0.25)
    assert plain.schedule.warmup == 0
