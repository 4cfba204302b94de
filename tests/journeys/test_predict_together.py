"""Several cases in hand at a time: the same answers but for rounding, in the same order, and failures of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tests.journeys.conftest import Hilum, nifti, read_csv

TOGETHER = "predict.cases_at_once=3"
ROUNDING = 1e-5


def values(file: Path) -> npt.NDArray[np.float64]:
    return np.asarray(nifti(file).dataobj, dtype=float)


def test_labels_and_probabilities_are_those_of_one_case_at_a_time(
    hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path
) -> None:
    scans = shutil.copytree(phantoms / "images", tmp_path / "scans")
    (scans / "broken.nii.gz").write_bytes(b"no scan")
    for out, more in (("alone", ()), ("together", (TOGETHER,))):
        done = hilum("predict", trained, scans, tmp_path / out, "--probabilities", *more)
        assert done.code == 3, done.text
        assert [row["case_id"] for row in read_csv(tmp_path / out / "failures.csv")] == ["broken"]
    alone, together = (read_csv(tmp_path / out / "results.csv") for out in ("alone", "together"))
    assert [row["case_id"] for row in together] == [row["case_id"] for row in alone]
    assert len(together) > 4
    for row in alone:
        name = f"{row['case_id']}.nii.gz"
        one, other = (values(tmp_path / out / "probabilities" / name) for out in ("alone", "together"))
        np.testing.assert_allclose(other, one, atol=ROUNDING)
        first, second = np.sort(one, -1)[..., -1], np.sort(one, -1)[..., -2]
        sure = first - second > 4 * ROUNDING
        assert sure.mean() > 0.99
        assert np.array_equal(values(tmp_path / "alone" / name)[sure], values(tmp_path / "together" / name)[sure])
    assert alone[0]["setup_sha256"] != together[0]["setup_sha256"]


def test_two_networks_that_answer_as_one(
    hilum: Hilum, trained: Path, own_run: Path, phantoms: Path, tmp_path: Path
) -> None:
    for out, more in (("alone", ()), ("together", (TOGETHER,))):
        done = hilum("predict", trained, own_run, phantoms / "images", tmp_path / out, *more)
        assert done.code == 0, done.text
    for row in read_csv(tmp_path / "alone" / "results.csv"):
        one, other = (values(tmp_path / out / f"{row['case_id']}.nii.gz") for out in ("alone", "together"))
        assert (one != other).mean() < 1e-3


def test_what_takes_memory_that_is_not_counted_is_refused_within_a_budget(
    hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path
) -> None:
    for setting in (TOGETHER, "predict.compile=true"):
        done = hilum("predict", trained, phantoms / "images", tmp_path / "out", "--memory", "2GB", setting)
        assert done.code == 2
        assert "takes memory that predict.memory_gb cannot count" in done.err
    assert not (tmp_path / "out").exists()
