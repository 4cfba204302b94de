"""One scan in every format of volumes: predicted alike, each with labels on its own grid."""

from pathlib import Path

import nibabel as nib
import numpy as np
from tests.formats.conftest import write_series
from tests.journeys.conftest import Hilum, nifti, read_csv

from hilum.case import ImageRef
from hilum.formats.reading import read_header


def test_a_scan_is_predicted_alike_in_every_format(hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path) -> None:
    import SimpleITK

    image = SimpleITK.ReadImage(str(min((phantoms / "images").glob("*.nii.gz"))))
    folder = tmp_path / "scans"
    folder.mkdir()
    for suffix in (".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr"):
        SimpleITK.WriteImage(image, str(folder / f"from_{suffix.replace('.', '')}{suffix}"))
    directions = np.reshape(image.GetDirection(), (3, 3)).T
    columns, rows, slices = image.GetSize()
    write_series(
        folder / "from_dicom",
        SimpleITK.GetArrayFromImage(image),
        positions=[image.TransformIndexToPhysicalPoint((0, 0, k)) for k in range(slices)],
        directions=directions[:2].ravel().tolist(),
        changes={"PixelSpacing": [image.GetSpacing()[1], image.GetSpacing()[0]]},
    )

    result = hilum("predict", trained, folder, tmp_path / "out")
    assert "6 predicted, 0 failed" in result.text
    table = {row["case_id"]: row for row in read_csv(tmp_path / "out" / "results.csv")}
    assert len({row["input_sha256"] for row in table.values()}) == 6
    outputs = {name: nib.as_closest_canonical(nifti(tmp_path / "out" / row["output"])) for name, row in table.items()}
    expected = outputs["from_niigz"]
    labels = np.asarray(expected.dataobj)
    assert labels.any()
    for name, written in outputs.items():  # a DICOM series counts its slices along their normal, maybe backwards
        assert (np.asarray(written.dataobj) == labels).mean() > 0.999, name
        assert np.allclose(written.affine, expected.affine, atol=1e-4), name
    shape = nifti(tmp_path / "out" / table["from_dicom"]["output"]).shape
    assert read_header(ImageRef(folder / "from_dicom")).grid.shape == shape == (columns, rows, slices)
