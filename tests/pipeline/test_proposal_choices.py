"""What a proposal chooses, from records of data sets that nobody has to read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.case import Case, Cohort, ImageRef
from hilum.config import read
from hilum.data.splits.base import Split
from hilum.errors import DataError
from hilum.formats.base import Header
from hilum.pipeline.estimate import step_cost
from hilum.pipeline.proposal.choose import classes_task, masks_task, sections, split_entry
from hilum.pipeline.proposal.intensities import has_pose
from hilum.pipeline.proposal.machine import Machine
from hilum.pipeline.proposal.names import class_map, run_name
from hilum.pipeline.proposal.survey import Content, Head, Masks, Sizes, Survey, Triple
from hilum.pipeline.proposal.write import Entry, Step
from hilum.problem import Problem
from hilum.registry import parse
from hilum.sources.layout import Layout
from hilum.volume import Grid, Unit

ROOT = Path(__file__).parents[2]
LAPTOP = Machine("cpu", cores=2, memory_bytes=24 * 2**30, precision="bfloat16")
SMALL = Machine("cpu", cores=1, memory_bytes=2 * 2**30)
GPU = Machine("cuda", cores=16, memory_bytes=40 * 2**30, precision="bfloat16")


def survey(
    *,
    shapes: Sequence[Sizes] = ((36, 50, 35),),
    spacings: Sequence[Triple] = ((1.0, 1.0, 1.0),),
    unit: Unit = "mm",
    labels: Sequence[str] | None = None,
    shares: Mapping[int, float] | None = None,
    channels: tuple[str, ...] = ("image",),
    cases: int = 100,
    title: str = "data",
    modality: str = "",
    **content: Any,
) -> Survey:
    """A survey of cases that are all in the training part, taking shapes and so on in turn."""
    found, heads = [], []
    for number in range(cases):
        label = labels[number % len(labels)] if labels else ImageRef(Path(f"{number}.nii"))
        found.append(Case(f"c{number}", f"p{number}", (ImageRef(Path(f"{number}.nii")),), label))
        spacing, shape = spacings[number % len(spacings)], shapes[number % len(shapes)]
        header = Header(Grid(shape, np.diag([*spacing, 1.0]), unit), 1, stored="int16", facts={"modality": modality})
        heads.append(Head(f"c{number}", shape, spacing, unit, header))
    values = {"low": 0.0, "high": 900.0, "whole_numbers": True, "zeros": 0.0, "zero_border": False}
    contents = tuple(Content(f"c{number}", box=shapes[0], **{**values, **content}) for number in range(3))
    shares = shares or {0: 0.95, 1: 0.05}
    return Survey(
        title,
        "classification" if labels else "segmentation",
        Cohort(tuple(found), channels),
        Split({"train": tuple(found)}),
        tuple(heads),
        contents,
        Masks(cases, cases, dict.fromkeys(shares, cases), shares),
    )


def chosen(seen: Survey, machine: Machine = LAPTOP, **layout: Any) -> dict[str, Any]:
    """The sections as plain data."""
    found = Layout("folders", {}, "", seen.task, **layout)
    task = masks_task(seen, found) if seen.task == "segmentation" else classes_task(seen, found)
    entries = sections(seen, Entry("source", {}), Entry("split", "holdout"), task, name="x", machine=machine)
    return {entry.key: plain(entry.value) for entry in entries}


def plain(value: Any) -> Any:
    if isinstance(value, tuple) and value and isinstance(value[0], Entry):
        return {entry.key: plain(entry.value) for entry in value}
    if isinstance(value, tuple):
        return [step.value for step in value if isinstance(step, Step)]
    return value


def step(found: Mapping[str, Any], kind: str) -> Any:
    """The step of preparation of this kind, None where there is none."""
    return next((each for each in found["data"]["prepare"] if each["kind"] == kind), None)


def test_the_hippocampus_gets_the_recipe_that_is_shipped_for_it() -> None:
    shipped = read(ROOT / "configs" / "hippocampus_unet3d.yaml").data
    found = chosen(survey(channels=("MRI",), cases=119))
    assert found["data"]["prepare"] == shipped["data"]["prepare"]
    assert found["data"]["augment"] == shipped["data"]["augment"]
    assert found["data"]["patch"]["size"] == shipped["data"]["patch"]["size"]
    assert found["data"]["batch_size"] == shipped["data"]["batch_size"]
    for section in ("network", "loss", "optimizer", "metrics"):
        assert found[section] == shipped[section]


def test_small_x_rays_get_the_recipe_that_is_shipped_for_them() -> None:
    shipped = read(ROOT / "configs" / "pneumonia_resnet18.yaml").data
    found = chosen(survey(shapes=[(28, 28, 1)], unit="pixel", labels=["0", "1"], cases=4708, high=255.0))
    for section in ("prepare", "augment", "batch_size"):
        assert found["data"][section] == shipped["data"][section]
    for section in ("network", "optimizer"):
        assert found[section] == shipped[section]


def test_thick_slices_keep_their_axis_and_are_pooled_later() -> None:
    found = chosen(survey(shapes=[(160, 160, 24)], spacings=[(0.5, 0.5, 4.0)]))
    assert step(found, "spacing")["mm"] == [0.5, 0.5, None]
    first, *_, last = found["network"]["strides"]
    assert first == [2, 2, 1]
    assert last == [2, 2, 2]
    assert len(found["data"]["patch"]["size"]) == 3


def test_few_thick_slices_are_looked_at_one_by_one() -> None:
    found = chosen(survey(shapes=[(11, 160, 160)], spacings=[(7.5, 0.5, 0.5)]))
    assert len(found["data"]["patch"]["size"]) == 2
    assert found["data"]["slice_axis"] == 0
    assert step(found, "spacing")["mm"] == [None, 0.5, 0.5]


def test_unequal_spacings_become_their_median() -> None:
    found = chosen(survey(spacings=[(1.0, 1.0, 1.0), (1.0, 1.0, 1.5), (1.0, 1.0, 2.0)], cases=99))
    assert step(found, "spacing")["mm"] == [1.0, 1.0, 1.5]


@pytest.mark.slow
def test_large_volumes_become_coarser_where_there_is_no_gpu() -> None:
    seen = survey(shapes=[(400, 400, 300)], spacings=[(0.8, 0.8, 1.0)])
    coarse, fine = (step(chosen(seen, machine), "spacing")["mm"] for machine in (LAPTOP, GPU))
    assert 0.8 < coarse[0] <= 1.6
    assert fine[0] == pytest.approx(0.8 * (48 / 30) ** (1 / 3), rel=0.01)  # 48 million voxels, and it affords 30


@pytest.mark.parametrize(
    ("change", "kind", "settings_"),
    [
        ({"modality": "CT"}, "dataset_zscore", {}),
        ({"channels": ("CT",)}, "dataset_zscore", {}),
        ({"low": -1024.0, "high": 3071.0}, "dataset_zscore", {}),
        ({"modality": "MR", "low": -1024.0, "high": 3071.0}, "zscore", {"nonzero": True}),
        ({"channels": ("T1", "FLAIR")}, "zscore", {"nonzero": True}),
        ({"zeros": 0.2}, "zscore", {}),
        ({"zeros": 0.2, "zero_border": True}, "zscore", {"nonzero": True}),
    ],
)
def test_values_are_scaled_as_the_modality_asks(change: dict[str, Any], kind: str, settings_: dict[str, Any]) -> None:
    prepare = chosen(survey(**change))["data"]["prepare"]
    assert prepare[-1] == {"kind": kind, **settings_}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 255.0, {"kind": "window", "low": 0, "high": 255}),
        (0.0, 1.0, {"kind": "window", "low": 0, "high": 1}),
        (0.0, 4095.0, {"kind": "percentiles", "low": 0.5, "high": 99.5}),
    ],
)
def test_pictures_are_scaled_by_their_depth(low: float, high: float, expected: dict[str, Any]) -> None:
    seen = survey(shapes=[(64, 64, 1)], unit="pixel", labels=["a", "b"], low=low, high=high)
    assert chosen(seen)["data"]["prepare"] == [expected]


def test_a_wide_border_of_zeros_is_cut_away_from_volumes_only() -> None:
    found = chosen(survey(zeros=0.6, zero_border=True))
    assert [each["kind"] for each in found["data"]["prepare"]] == ["canonical", "crop_foreground", "spacing", "zscore"]
    pixels = survey(shapes=[(28, 28, 28)], unit="pixel", labels=["a", "b"], high=255.0, zeros=0.9, zero_border=True)
    assert [each["kind"] for each in chosen(pixels)["data"]["prepare"]] == ["window"]


def test_rare_classes_weigh_more_from_a_ratio_of_three_on() -> None:
    rare = survey(shapes=[(28, 28, 1)], unit="pixel", labels=["a", "a", "a", "a", "b"])
    assert chosen(rare)["loss"] == {"kind": "cross_entropy", "class_weights": "balanced"}
    even = survey(shapes=[(28, 28, 1)], unit="pixel", labels=["a", "a", "b"])
    assert chosen(even)["loss"] == "cross_entropy"


def test_mirroring_is_proposed_only_where_no_side_means_anything() -> None:
    def flips(seen: Survey) -> bool:
        return any(each["kind"] == "flip" for each in chosen(seen)["data"]["augment"])

    assert not flips(survey())
    assert not flips(survey(shapes=[(256, 256, 1)], unit="pixel", high=255.0))
    assert flips(survey(shapes=[(256, 256, 1)], unit="pixel", high=255.0, title="isbi2012_em"))
    assert not has_pose("pathmnist")
    assert has_pose("emphysema-ct")


def test_post_processing_is_left_to_the_validation_patients() -> None:
    assert chosen(survey())["predict"] == {"postprocess": "auto"}
    picture = survey(shapes=[(256, 256, 1)], unit="pixel", high=255.0, title="isbi2012_em")
    assert chosen(picture)["predict"] == {"flips": ["vertical", "horizontal"], "postprocess": "auto"}
    assert "predict" not in chosen(survey(shapes=[(28, 28, 1)], unit="pixel", labels=["a", "a", "b"]))


def test_missing_channels_are_allowed_where_some_are_missing() -> None:
    seen = survey(channels=("t1", "t2"))
    assert "missing" not in chosen(seen)["data"]
    cases = tuple(
        Case(case.id, case.patient, (case.images[0], None if number else case.images[0]), case.label)
        for number, case in enumerate(seen.cohort.cases)
    )
    lacking = Survey(
        "x", "segmentation", Cohort(cases, ("t1", "t2")), Split({"train": cases}), seen.heads, seen.contents, seen.masks
    )
    assert chosen(lacking)["data"]["missing"]["presence"] is True


def test_label_values_get_names_unless_the_data_name_them() -> None:
    seen = survey(shares={0: 0.9, 1: 0.06, 4: 0.04})
    assert chosen(seen)["task"]["classes"] == {"background": 0, "label_1": 1, "label_4": 4}
    named = {"background": 0, "core": 1}
    assert chosen(seen, classes=named)["task"]["classes"] == {**named, "label_4": 4}
    regions = chosen(seen, classes={"whole": [1, 4], "core": [4]}, regions=True, ignore=9)["task"]
    assert regions == {"kind": "segmentation", "regions": {"whole": [1, 4], "core": [4]}, "ignore": 9}
    undecided = chosen(survey(shares={0: 0.8, 1: 0.1, 2: 0.05, 255: 0.05}))["task"]
    assert undecided["ignore"] == 255


def test_the_class_without_a_finding_comes_first() -> None:
    assert list(class_map(["pneumonia", "no_finding"])) == ["no_finding", "pneumonia"]
    assert list(class_map(["AD", "healthy", "MCI"])) == ["healthy", "AD", "MCI"]
    assert class_map(["10", "2", "1"]) == {"class_1": 1, "class_2": 2, "class_10": 10}
    assert class_map(["001", "no"]) == {"no": "no", "001": "001"}


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([f"text {number}" for number in range(80)], "80 different labels"),
        (["same"], "two classes"),
        (["a|b", "a", "b"], "several labels"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        chosen(survey(shapes=[(28, 28, 1)], unit="pixel", labels=labels))


def test_the_disease_is_the_second_of_two_classes() -> None:
    seen = survey(shapes=[(28, 28, 1)], unit="pixel", labels=["0", "1"])
    found = chosen(seen, classes={"malignant": 0, "benign": 1})["task"]["classes"]
    assert list(found.items()) == [("benign", 1), ("malignant", 0)]
    kept = chosen(seen, classes={"vessel": 0, "aneurysm": 1})["task"]["classes"]
    assert list(kept) == ["vessel", "aneurysm"]


def test_an_epoch_takes_minutes_however_many_cases_there_are() -> None:
    few, many = (survey(shapes=[(28, 28, 1)], unit="pixel", labels=["0", "1"], cases=n) for n in (4700, 100_000))
    assert "steps_per_epoch" not in chosen(few)["train"]
    assert chosen(many)["train"]["steps_per_epoch"] == LAPTOP.epoch_steps


def test_a_border_of_another_value_than_zero_counts_and_is_told() -> None:
    seen = survey(border=-3.6)
    assert step(chosen(seen), "zscore") == {"kind": "zscore"}


def test_the_split_is_the_official_one_or_by_patient() -> None:
    def cohort(parts: Sequence[str | None], patients: int) -> Cohort:
        return Cohort(
            tuple(
                Case(f"{number}", f"p{number % patients}", (ImageRef(Path("x")),), "a", part=part)
                for number, part in enumerate(parts)
            ),
            ("image",),
        )

    assert split_entry(cohort(["train", "val", "test"], 3)).value == "predefined"
    assert split_entry(cohort(["train"] * 3, 3)).value["kind"] == "holdout"
    assert split_entry(cohort([None, "train"], 2)).value["kind"] == "holdout"
    assert "kfold" in split_entry(cohort([None] * 9, 4)).why
    assert "one patient" in split_entry(cohort([None] * 9, 1)).why


@pytest.mark.slow
@settings(max_examples=4)
@given(
    st.tuples(st.integers(3, 300), st.integers(8, 300), st.integers(8, 300)),
    st.tuples(*[st.sampled_from([0.4, 1.0, 1.3, 5.0])] * 3),
    st.sampled_from([LAPTOP, SMALL, GPU]),
)
def test_every_patch_passes_its_network_and_fits_the_machine(shape: Sizes, spacing: Triple, machine: Machine) -> None:
    found = chosen(survey(shapes=[shape], spacings=[spacing], cases=20), machine)
    size, batch_size = tuple(found["data"]["patch"]["size"]), found["data"]["batch_size"]
    network: Any = parse("networks", found["network"])
    problem = Problem("segmentation", len(size), ("image",), ("a", "b"), ((0,), (1,)), size=size)
    assert network.faults(problem) == []
    cost = step_cost(network, problem, size=size, batch_size=batch_size, precision=machine.precision)
    assert cost.memory_bytes < machine.memory_bytes / (1 if machine.accelerated else 3)
    assert cost.multiply_adds <= machine.step_multiply_adds
    steps = -(-20 * found["data"]["patch"].get("samples_per_case", 1) // batch_size)
    assert found["schedule"]["warmup"] < steps  # so that one epoch alone can be tried


@settings(max_examples=8)
@given(
    st.tuples(st.integers(8, 600), st.integers(8, 600), st.sampled_from([1, 3, 20, 300])),
    st.integers(3, 3000),
    st.sampled_from([LAPTOP, SMALL, GPU]),
)
def test_every_classifier_takes_its_images(shape: Sizes, cases: int, machine: Machine) -> None:
    unit: Unit = "pixel" if shape[2] == 1 else "mm"
    found = chosen(survey(shapes=[shape, shape], unit=unit, labels=["a", "b"], cases=cases), machine)
    resized = step(found, "resize")
    size = tuple(resized["size"]) if resized else shape[: 2 if shape[2] == 1 else 3]
    network: Any = parse("networks", found["network"])
    problem = Problem("classification", len(size), ("image",), ("a", "b"), (("a",), ("b",)), size=size)
    assert network.faults(problem) == []
    assert all(new <= old for new, old in zip(size, shape, strict=False))
    assert found["schedule"]["warmup"] < max(2, -(-cases // found["data"]["batch_size"]))


@pytest.mark.slow
def test_a_machine_with_less_gets_less() -> None:
    seen = survey(shapes=[(200, 200, 200)])
    sizes = [np.prod(chosen(seen, machine)["data"]["patch"]["size"]) for machine in (SMALL, LAPTOP, GPU)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert chosen(seen, GPU)["network"]["channels"][0] > chosen(seen, LAPTOP)["network"]["channels"][0]


def test_this_machine_is_described_by_what_does_not_change() -> None:
    machine = Machine.here()
    assert machine.memory_bytes > 2**28
    assert machine == Machine.here()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a b/Täsk 04.v2", "T-sk-04"),
        ("pneumoniamnist.npz", "pneumoniamnist"),
        ("x/labels.csv", "x"),
        ("isbi/train", "isbi"),
        ("???", "data"),
    ],
)
def test_the_run_is_called_after_the_data(path: str, name: str) -> None:
    assert run_name(Path(path)) == name
