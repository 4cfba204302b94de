"""The arithmetic of windows against the shapes that torch's layers and brute force give."""

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hilum.layers.convolutions import convolution
from hilum.layers.padding import Padding
from hilum.layers.window import Window, output_size, shortest, window_faults

whole = st.integers(1, 5)


@settings(max_examples=60)
@given(length=st.integers(1, 14), kernel=whole, stride=whole, dilation=st.integers(1, 3), padding=st.integers(0, 3))
def test_length_is_that_of_torchs_convolution(
    length: int, kernel: int, stride: int, dilation: int, padding: int
) -> None:
    window = Window(kernel, stride, padding, dilation)
    expected = window.length(length)
    starts = range(0, length + 2 * padding - dilation * (kernel - 1), stride)
    assert max(0, expected) == len(starts)
    if expected > 0:
        layer = nn.Conv1d(1, 1, kernel, stride, padding, dilation)
        assert layer(torch.zeros(1, 1, length)).shape[2] == expected
        last_seen = starts[-1] + dilation * (kernel - 1)
        assert window.unseen(length) == length + 2 * padding - 1 - last_seen


@settings(max_examples=60)
@given(length=st.integers(1, 14), kernel=whole, stride=whole, padding=st.integers(0, 2), ceil=st.booleans())
def test_length_is_that_of_torchs_pooling(length: int, kernel: int, stride: int, padding: int, ceil: bool) -> None:
    padding = min(padding, kernel // 2)
    expected = Window(kernel, stride, padding, ceil=ceil).length(length)
    layer = nn.MaxPool1d(kernel, stride, padding, ceil_mode=ceil)
    if expected < 1:
        with pytest.raises(RuntimeError):
            layer(torch.zeros(1, 1, length))
    else:
        assert layer(torch.zeros(1, 1, length)).shape[2] == expected


@settings(max_examples=40)
@given(length=st.integers(1, 12), kernel=whole, stride=whole, dilation=st.integers(1, 2))
def test_same_gives_a_voxel_for_each_stride_begun(length: int, kernel: int, stride: int, dilation: int) -> None:
    window = Window(kernel, stride, "same", dilation)
    assert window.length(length) == -(-length // stride)
    before, after = window.widths(length)
    assert after - before in (0, 1)
    layer = convolution(2, 1, 1, window=window)
    assert layer(torch.zeros(1, 1, length, 7)).shape[2] == -(-length // stride)


@pytest.mark.parametrize("padding", get_args(Padding))
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize(("dims", "stride"), [(2, 1), (2, 2), (3, 2)])
def test_the_layer_gives_what_the_window_says(padding: Padding, kernel: int, dims: int, stride: int) -> None:
    window = Window(kernel, stride, padding)
    size = (6, 7, 5)[:dims]
    layer = convolution(dims, 2, 3, window=window)
    assert layer(torch.zeros(1, 2, *size)).shape == (1, 3, *output_size([window], size))


def test_padding_decides_what_the_kernel_sees_beyond_the_border() -> None:
    """A kernel that takes its left neighbour, on the row 1 2 3."""
    seen = {"zero": 0.0, "constant": 9.0, "replicate": 1.0, "reflect": 2.0, "symmetric": 1.0, "same": 0.0}
    row = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    for padding, expected in seen.items():
        layer = convolution(2, 1, 1, window=Window(3, padding=padding), bias=False, value=9.0)  # type: ignore[arg-type]
        kernel = next(layer.parameters())
        kernel.data.zero_()
        kernel.data[0, 0, 1, 0] = 1.0
        assert layer(row).flatten().tolist() == [expected, 1.0, 2.0], padding


def test_published_layers() -> None:
    """LeNet-5: 32 to 28, 14, 10, 5; the stem of AlexNet: 224 to 55, of which two voxels are never seen."""
    assert [
        output_size([Window(5), Window(2, 2), Window(5), Window(2, 2)][:count], (32,)) for count in (1, 2, 3, 4)
    ] == [
        (28,),
        (14,),
        (10,),
        (5,),
    ]
    stem = Window(11, 4, 2)
    assert stem.length(224) == 55
    assert stem.unseen(224) == 1
    assert Window(2, 2).unseen(7) == 1


def test_the_layer_that_leaves_nothing_is_named() -> None:
    layers = [("conv1", Window(5)), ("pool1", Window(2, 2)), ("conv2", Window(5))]
    assert window_faults(layers, (14, 14)) == []
    faults = window_faults(layers, (14, 13))
    assert len(faults) == 1
    assert "axis 1 is 13" in faults[0]
    assert "conv2" in faults[0]
    assert "at least 14" in faults[0]
    assert shortest([window for _, window in layers]) == 14
