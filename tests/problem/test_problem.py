"""Label values to targets and back: exclusive classes, several values, regions, an ignored value."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import DataError
from hilum.problem import IGNORE, Problem


def problem(groups: dict[str, tuple[Any, ...]], **rest: Any) -> Problem:
    settings: dict[str, Any] = {"kind": "segmentation", "dims": 3, "channels": ("image",), **rest}
    return Problem(classes=tuple(groups), values=tuple(groups.values()), **settings)


def one_hot(indices: np.ndarray, count: int) -> torch.Tensor:
    """Probabilities (C, *spatial) that leave no doubt."""
    return torch.nn.functional.one_hot(torch.as_tensor(indices).long(), count).movedim(-1, 0).float()


ORGANS = problem({"background": (0,), "organ": (1, 5), "lesion": (300,)}, ignore=255)
TUMOUR = problem({"whole": (1, 2, 4), "core": (1, 4), "active": (4,)}, exclusive=False, ignore=9)


def test_exclusive_classes_by_hand() -> None:
    values = np.array([[0, 1, 5], [300, 255, 0]])
    assert ORGANS.encode(values).tolist() == [[[0, 1, 1], [2, IGNORE, 0]]]
    assert ORGANS.encode(values).dtype == np.int16
    assert ORGANS.foreground == ("organ", "lesion")
    assert ORGANS.membership(values).tolist() == [
        [[False, True, True], [False, False, False]],
        [[False, False, False], [True, False, False]],
    ]


def test_regions_by_hand() -> None:
    values = np.array([0, 1, 2, 4, 9])
    assert TUMOUR.encode(values).tolist() == [[0, 1, 1, 1, -1], [0, 1, 0, 1, -1], [0, 0, 0, 1, -1]]
    assert TUMOUR.foreground == ("whole", "core", "active")
    assert TUMOUR.membership(values).tolist() == [
        [False, True, True, True, False],
        [False, True, False, True, False],
        [False, False, False, True, False],
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int64])
@pytest.mark.parametrize("which", [ORGANS, TUMOUR], ids=["classes", "regions"])
def test_sizes_are_those_of_the_masks(which: Problem, dtype: type[np.integer], monkeypatch: pytest.MonkeyPatch) -> None:
    from hilum import problem as module

    monkeypatch.setattr(module, "PART_VOXELS", 17)
    values = np.random.default_rng(1).choice([0, 1, 2, 4, 5, 200], size=(7, 6, 5)).astype(dtype)
    assert which.sizes(values).tolist() == which.membership(values).sum((1, 2, 3)).tolist()
    assert which.sizes(values[:, ::2, ::-1]).tolist() == which.membership(values[:, ::2]).sum((1, 2, 3)).tolist()


def test_values_that_no_class_has_are_all_named() -> None:
    with pytest.raises(DataError, match=r"\[7, 8\] belong to no class; expected .*organ: \[1, 5\].*ignore: 255"):
        ORGANS.encode(np.array([0, 8, 1, 7]))
    assert ORGANS.unknown_values([0, 1, 255, -3, 2, 2]) == [-3, 2]
    assert TUMOUR.unknown_values([0, 1, 3]) == [3]


def test_the_written_type_is_the_smallest_that_holds_the_values() -> None:
    assert ORGANS.decode(one_hot(np.array([2, 0]), 3)).dtype == torch.int32
    assert problem({"a": (0,), "b": (255,)}).decode(one_hot(np.array([1]), 2)).dtype == torch.uint8
    assert problem({"a": (0,), "b": (-1,)}).decode(one_hot(np.array([1]), 2)).tolist() == [-1]


def test_regions_are_decoded_to_a_value_that_exists() -> None:
    # Core alone (without whole) is no label value: whole or nothing is written, whichever is likelier.
    doubtful = torch.tensor([[0.4, 0.1], [0.9, 0.6], [0.1, 0.1]])
    assert TUMOUR.decode(doubtful).tolist() == [1, 0]


def test_probabilities_are_softmax_or_sigmoid() -> None:
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    exponents = logits.double().exp()
    assert torch.allclose(ORGANS.probabilities(logits).double(), exponents / exponents.sum(1, keepdim=True))
    assert torch.allclose(TUMOUR.probabilities(logits).double(), exponents / (1 + exponents))


def test_a_class_is_called_by_name_or_by_value() -> None:
    views = problem({"normal": (0, "healthy"), "pneumonia": (1,)}, kind="classification", dims=2)
    assert [views.encode_class(text) for text in ("normal", "0", "healthy", "1")] == [0, 0, 0, 1]
    assert views.foreground == ("normal", "pneumonia")
    with pytest.raises(DataError, match="did you mean 'pneumonia'"):
        views.encode_class("pneumonai")


@st.composite
def exclusive_problems(draw: st.DrawFn) -> Problem:
    sizes = draw(st.lists(st.integers(1, 3), min_size=2, max_size=5))
    values = draw(st.lists(st.integers(-5, 1000), min_size=sum(sizes) + 1, max_size=sum(sizes) + 1, unique=True))
    groups, rest = {}, iter(values[1:])
    for index, size in enumerate(sizes):
        groups[f"class{index}"] = tuple(next(rest) for _ in range(size))
    return problem(groups, ignore=draw(st.sampled_from([None, values[0]])))


@st.composite
def region_problems(draw: st.DrawFn) -> Problem:
    values = draw(st.lists(st.integers(1, 300), min_size=2, max_size=6, unique=True))
    groups = draw(st.lists(st.sets(st.sampled_from(values[1:]), min_size=1), min_size=1, max_size=4))
    ignore = draw(st.sampled_from([None, values[0]]))
    return problem({f"r{i}": tuple(sorted(group)) for i, group in enumerate(groups)}, exclusive=False, ignore=ignore)


def values_in(draw: st.DataObject, which: Problem) -> np.ndarray:
    known = [value for group in which.values for value in group] + ([0] if not which.exclusive else [])
    known += [which.ignore] if which.ignore is not None else []
    return np.array(draw.draw(st.lists(st.sampled_from(known), min_size=1, max_size=12)), dtype=np.int32)


@given(exclusive_problems(), st.data())
def test_a_target_answered_perfectly_is_the_same_class_again(which: Problem, data: st.DataObject) -> None:
    values = values_in(data, which)
    encoded = which.encode(values)
    assert encoded.shape == (1, *values.shape)
    for value, code in zip(values.tolist(), encoded[0].tolist(), strict=True):
        assert code == IGNORE if value == which.ignore else value in which.values[code]
    seen = encoded[0] != IGNORE
    decoded = which.decode(one_hot(encoded[0][seen], which.num_outputs)).numpy()
    assert (which.encode(decoded)[0] == encoded[0][seen]).all()
    assert (which.membership(decoded) == which.membership(values[seen])).all()


@given(region_problems(), st.data())
def test_regions_answered_perfectly_are_the_same_regions_again(which: Problem, data: st.DataObject) -> None:
    values = values_in(data, which)
    encoded = which.encode(values)
    for index, group in enumerate(which.values):
        expected = [IGNORE if value == which.ignore else int(value in group) for value in values.tolist()]
        assert encoded[index].tolist() == expected
    seen = encoded[0] != IGNORE
    decoded = which.decode(torch.as_tensor(encoded[:, seen]).float()).numpy()
    assert (which.encode(decoded) == encoded[:, seen]).all()
    assert (which.membership(decoded) == which.membership(values[seen])).all()


@given(region_problems(), st.data())
def test_regions_are_decoded_to_the_likeliest_value(which: Problem, data: st.DataObject) -> None:
    chances = st.lists(st.floats(0.01, 0.99), min_size=which.num_outputs, max_size=which.num_outputs)
    likely = np.array(data.draw(chances))
    written = int(which.decode(torch.as_tensor(likely).float()[:, None])[0])

    def likelihood(value: int) -> float:
        inside = np.array([value in group for group in which.values])
        return float(np.where(inside, likely, 1 - likely).prod())

    known = [0, *(int(value) for group in which.values for value in group)]
    assert likelihood(written) == pytest.approx(max(map(likelihood, known)), rel=1e-4)
