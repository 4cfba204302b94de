"""The pixels of one DICOM file as numbers: decompressed, with their sign, colours as RGB, scaled to what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import DataError
from hilum.formats.base import inverted, reason
from hilum.formats.dicom_headers import BROKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from hilum.formats.base import Array
    from hilum.formats.dicom_headers import Instance

JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
CODECS = {
    **dict.fromkeys(JPEG, "jpeg8_decode"),
    **dict.fromkeys(("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"), "jpegsof3_decode"),
    **dict.fromkeys(("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"), "jpegls_decode"),
    **dict.fromkeys(("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"), "jpeg2k_decode"),
}
"""The functions of imagecodecs by transfer syntax: JPEG, JPEG lossless, JPEG-LS, JPEG 2000. pydicom does the rest."""


def measured(instance: Instance) -> Array:
    """Values (frames, rows, columns, samples): native integers, or float32 where a frame is scaled.

    MONOCHROME1, where low values are bright, is turned round, so that larger is brighter in every image (see
    `Instance.inverted`). Each frame is then multiplied with its rescale slope, and its intercept is added. Raises
    DataError for broken pixels.
    """
    try:
        stored = _decoded(instance).reshape(-1, instance.rows, instance.columns, instance.samples)
    except (*BROKEN, RuntimeError) as error:
        raise DataError(f"{instance.path}: pixels cannot be read ({reason(error)})") from error
    if len(stored) != len(instance.planes):
        raise DataError(f"{instance.path}: {len(instance.planes)} frames expected by the header, {len(stored)} found")
    if instance.inverted:
        stored = inverted(stored, instance.bits)
    if all((plane.slope, plane.intercept) == (1, 0) for plane in instance.planes):
        return stored
    frames = [frame * plane.slope + plane.intercept for frame, plane in zip(stored, instance.planes, strict=True)]
    return np.stack(frames).astype(np.float32)


def _decoded(instance: Instance) -> Any:
    """Stored values of all frames."""
    import pydicom
    from pydicom.pixels import convert_color_space, pixel_array

    dataset = pydicom.dcmread(instance.path)
    codec = CODECS.get(instance.syntax)
    if codec is None:
        return _whole(pixel_array(dataset), instance)
    decode = _codec(codec, instance)
    frames = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=len(instance.planes))
    array = np.stack([decode(frame) for frame in frames])
    if instance.photometric == "YBR_FULL" and instance.syntax not in JPEG:
        array = convert_color_space(array, "YBR_FULL", "RGB")
    return _whole(array, instance)


def _codec(name: str, instance: Instance) -> Callable[[bytes], Any]:
    """What turns one compressed frame into numbers; three samples come out as RGB."""
    import imagecodecs

    function: Callable[..., Any] = getattr(imagecodecs, name)
    if instance.syntax in JPEG and instance.photometric == "RGB":
        return lambda frame: function(frame, colorspace="RGB", outcolorspace="RGB")
    return function


def _whole(array: Any, instance: Instance) -> Any:
    """Numbers with their sign, and without what other data lies in the bits above those in use."""
    if array.dtype.kind not in "iu":
        return array
    if instance.stored.startswith("int"):
        array = array.view(array.dtype.str.replace("u", "i"))
    unused = array.dtype.itemsize * 8 - instance.bits
    return (array << unused) >> unused if unused > 0 else array
