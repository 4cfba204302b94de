"""What is known of cases beside their voxels: tables and headers as columns, each value as the file was written."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from hilum.case import Case, ImageRef
from hilum.data.audit.columns import (
    NOTHING,
    columns_of,
    headers_of,
    is_group,
    is_number,
    numbers,
    restates,
)


def volume(file: Path, shape: tuple[int, ...], kind: type, zooms: tuple[float, ...]) -> ImageRef:
    nib.save(nib.Nifti1Image(np.zeros(shape, dtype=kind), np.diag([*zooms, 1])), file)
    return ImageRef(file)


def test_headers_and_tables_become_columns_where_cases_differ(tmp_path: Path) -> None:
    first = volume(tmp_path / "a.nii", (4, 5, 6), np.int16, (1, 1, 2.5))
    second = volume(tmp_path / "b.nii.gz", (4, 5, 7), np.float32, (1, 1, 2.5))
    cases = [
        Case("a", "a", (first, None), metadata={"site": "A", "same": "x", "age": ""}),
        Case("b", "b", (second, second), metadata={"site": "B", "same": "x"}),
    ]
    columns = columns_of(cases, headers_of(cases))
    assert columns["site"] == {"a": "A", "b": "B"}
    assert columns["image size: voxels"] == {"a": "120", "b": "140"}
    assert columns["image size: axis 3"] == {"a": "6", "b": "7"}
    assert columns["type of voxels"] == {"a": "int16", "b": "float32"}
    assert columns["kind of file"] == {"a": ".nii", "b": ".nii.gz"}
    assert columns["channels present"] == {"a": "0", "b": "0, 1"}
    assert not {"same", "age", "spacing", "orientation", "image size", "image size: axis 1"} & set(columns)


def test_a_file_that_cannot_be_read_is_an_empty_cell(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    cases = [Case(name, name, (ImageRef(tmp_path / f"{name}.png"),)) for name in "ab"]
    headers = headers_of([*cases, Case("nothing", "nothing", (None,))])
    assert set(headers) == {cases[0].files[0]}
    assert columns_of(cases, headers)["image size: voxels"] == {"a": "12", "b": NOTHING}


def test_many_sizes_are_compared_by_their_number_of_voxels(tmp_path: Path) -> None:
    cases = []
    for width in range(2, 26):
        Image.fromarray(np.zeros((3, width), np.uint8)).save(tmp_path / f"{width}.png")
        cases.append(Case(str(width), str(width), (ImageRef(tmp_path / f"{width}.png"),)))
    counted = columns_of(cases, headers_of(cases))["image size: voxels"]
    assert is_number(counted, cases)
    assert numbers(counted) == {str(width): 3.0 * width for width in range(2, 26)}


def test_numbers_days_groups_and_names() -> None:
    cases = [Case(str(number), str(number), ()) for number in range(50)]
    age = {case.id: str(20 + int(case.id)) for case in cases} | {"3": "unknown", "4": NOTHING}
    day = {case.id: f"20{10 + int(case.id) // 12}-{1 + int(case.id) % 12:02d}-01" for case in cases}
    site = {case.id: "ABC"[int(case.id) % 3] for case in cases}
    name = {case.id: f"Mr {case.id}" for case in cases}
    assert [is_number(column, cases) for column in (age, day, site, name)] == [True, True, False, False]
    assert [is_group(column, cases) for column in (site, name)] == [True, False]
    assert set(numbers(age)) == set(age) - {"3", "4"}
    assert numbers({"a": "2020-07-01", "b": "nan", "c": "1e3"}) == {"a": pytest.approx(2020.5, abs=0.01), "c": 1000.0}


def test_a_site_that_holds_one_class_alone_does_not_restate_it() -> None:
    labels = {str(number): "sick" if number % 2 else "well" for number in range(20)}
    assert restates({key: f"Is {label.upper()}!" for key, label in labels.items()}, labels)
    assert not restates({key: {"sick": "A", "well": "B"}[label] for key, label in labels.items()}, labels)


def test_few_sizes_are_groups_and_not_compared_as_numbers_too(tmp_path: Path) -> None:
    refs = [volume(tmp_path / f"{width}.nii", (4, 4, width), np.int16, (1, 1, width)) for width in (2, 3)]
    cases = [Case(str(index), str(index), (refs[index % 2],)) for index in range(8)]
    columns = columns_of(cases, headers_of(cases))
    assert set(columns) == {"image size", "spacing"}
    assert columns["spacing"]["1"] == "1 x 1 x 3 mm"


def test_what_is_no_group_may_be_a_number_of_few_values() -> None:
    cases = [Case(str(number), str(number), ()) for number in range(30)]
    age = {case.id: str(20 + int(case.id) % 18) for case in cases}
    grade = {case.id: str(int(case.id) % 4) for case in cases}
    assert [is_number(column, cases) for column in (age, grade)] == [True, False]
    assert [is_group(column, cases) for column in (age, grade)] == [False, True]
