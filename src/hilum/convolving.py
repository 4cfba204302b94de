"""Keeps convolutions on a CPU away from shapes that its library, oneDNN, gets wrong: they take the next precision.

Measured against float64 with torch 2.13 on a CPU with AVX512-BF16:

- bfloat16: where a kernel is longer than the image along an axis, the gradient of the weights holds memory that nothing
  has written, or the process ends. The bottom of a 3D U-Net that is two voxels deep is such a place, and so is a stride
  on the last voxel of a ResNet.
- float32: the same where the padding is longer than a stride of more than one, and the kernel as long as the image: the
  first layer of a ResNet on a volume of five or six slices.

On CPUs with AMX the output in bfloat16 is wrong where a stride leaves a single place (pytorch/pytorch issue 169688).
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

Axis = tuple[int, int, int, int]
"""Along one axis: length of the image, places that the kernel spans, stride, zeros added at the beginning."""


def keep_sound(model: nn.Module) -> None:
    """Make the convolutions of a network on a CPU, in place, ones that choose a precision with right results.

    Weights, their names and the type of what comes out stay the same. Transposed convolutions are left alone: they
    are right with kernels as long as their stride, as networks have them.
    """
    for module in model.modules():
        if type(module) in _SOUND:
            module.__class__ = _SOUND[type(module)]


def sound_type(axes: Sequence[Axis], usual: torch.dtype, *, learning: bool) -> torch.dtype:
    """The precision that gives right results where `usual` may not."""
    if usual in (torch.bfloat16, torch.float16) and any(_is_narrow(*axis) for axis in axes):
        usual = torch.float32
    if usual is torch.float32 and learning and any(_is_overhung(*axis) for axis in axes):
        return torch.float64
    return usual


def _is_narrow(length: int, extent: int, stride: int, padding: int) -> bool:
    return extent > length or (stride > 1 and (length + 2 * padding - extent) // stride == 0)


def _is_overhung(length: int, extent: int, stride: int, padding: int) -> bool:
    return padding > stride > 1 and extent >= length


class _Sound(_ConvNd):
    """Convolves in a precision with right results."""

    def _conv_forward(self, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        plain = super()._conv_forward
        kind = images.device.type
        usual = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else images.dtype
        sound = sound_type(tuple(self._axes(images)), usual, learning=torch.is_grad_enabled())
        if sound is usual:
            result: Tensor = plain(images, weight, bias)
            return result
        with torch.autocast(kind, enabled=False):
            result = plain(images.to(sound), weight.to(sound), None if bias is None else bias.to(sound))
        return result.to(usual)

    def _axes(self, images: Tensor) -> Iterator[Axis]:
        spatial = images.shape[2:]
        for number, (length, kernel, stride, dilation) in enumerate(
            zip(spatial, self.kernel_size, self.stride, self.dilation, strict=True)
        ):
            extent = dilation * (kernel - 1) + 1
            if isinstance(self.padding, str):
                padding = (extent - 1) // 2 if self.padding == "same" else 0
            else:
                padding = self.padding[number]
            added = 0 if self.padding_mode == "zeros" else padding  # other modes make the image larger beforehand
            yield length + 2 * added, extent, stride, padding - added


class _SoundConv1d(_Sound, nn.Conv1d):
    pass


class _SoundConv2d(_Sound, nn.Conv2d):
    pass


class _SoundConv3d(_Sound, nn.Conv3d):
    pass


_SOUND: dict[type, type[_Sound]] = {nn.Conv1d: _SoundConv1d, nn.Conv2d: _SoundConv2d, nn.Conv3d: _SoundConv3d}
