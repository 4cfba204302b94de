"""`hilum check`: everything wrong with a configuration and its data in one list, without a traceback."""

import csv
import re
import resource
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilum.cli import main
from hilum.formats.nifti import write_volume
from hilum.pipeline.preflight import in_words

TEXT = """\
name: five
task: {{kind: segmentation, classes: {{background: 0, organ: 1}}}}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, image: image, label: label, patient: patient}}
  split: {{kind: holdout, val: 0.25, test: 0.25}}
  prepare: [zscore]
  patch: {{size: [8, 8, 8]}}
  cache: {folder}/cache
network: {{kind: unet, channels: [4, 8]}}
loss: dice
metrics: [dice]
runtime: {{device: cpu, threads: 1}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Eight scans of eight patients whose masks hold the values 0 and 1."""
    rows = ["image,label,patient"]
    for number in range(8):
        voxels = np.random.default_rng(number).normal(size=(12, 12, 12)).astype(np.float32)
        for name, values in (("image", voxels), ("label", (voxels > 1).astype(np.int16))):
            write_volume(tmp_path / f"{name}{number}.nii.gz", values, np.eye(4), sform_code=1, qform_code=1)
        rows.append(f"image{number}.nii.gz,label{number}.nii.gz,00{number}")
    (tmp_path / "cases.csv").write_text("\n".join(rows) + "\n")
    file = tmp_path / "a.yaml"
    file.write_text(TEXT.format(folder=tmp_path))
    return file


def add_value(folder: Path, number: int, value: int) -> None:
    values = np.zeros((12, 12, 12), dtype=np.int16)
    values[3:5] = value
    write_volume(folder / f"label{number}.nii.gz", values, np.eye(4), sform_code=1, qform_code=1)


def faults_of(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    """The lines that say what is wrong."""
    assert main(["check", *map(str, words)]) == 2
    lines = capsys.readouterr().err.splitlines()
    if re.fullmatch(r"\d+ problems found|\d+ errors?, \d+ warnings?", lines[-1]):
        return lines[:-1]
    return lines


def test_nothing_wrong(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(config)]) == 0
    out = capsys.readouterr().out
    assert "8 cases of 8 patients" in out
    assert out.endswith("all checks passed\n")


def test_very_different_mistakes_in_one_list(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_value(config.parent, 2, 7)
    text = config.read_text().replace("loss: dice", "loss: dcie").replace("[8, 8, 8]", "[9, 8, 8]")
    text = text.replace("metrics: [dice]", "metrics: [dice, auroc]").replace("val: 0.25", "val: 2")
    text = text.replace("threads: 1", "threads: 1, sede: 3").replace("prepare: [zscore]", "prepare: zscore")
    config.write_text(text)
    expected = {
        2: r"task.classes: case image2: .*label2.nii.gz: label values without a class: received .*\[7\], "
        r"expected {background: 0, ",
        5: r"data.split.val: received 2, expected less than 1",
        6: r"data.prepare: received 'zscore', expected a list",
        7: r"data.patch.size: .*9.*multiple of 2",
        10: r"loss.kind: received 'dcie', expected one of .*; did you mean 'dice'\?",
        11: r"metrics.1: metric 'auroc' is for classification, the task is segmentation",
        12: r"runtime.sede: unknown key 'sede'; did you mean 'seed'\?",
    }
    found = faults_of(capsys, config)
    assert len(found) == len(expected), "\n".join(found)
    for line, (number, pattern) in zip(found, expected.items(), strict=True):
        assert re.match(rf"{re.escape(str(config))}:{number}: {pattern}", line), line


def test_missing_files_are_found_although_the_network_is_unknown(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent / "image3.nii.gz").unlink()
    source, network = faults_of(capsys, config, "network=unnet")
    assert network.startswith("command line: network=unnet: network.kind: received 'unnet', expected one of ")
    assert source.startswith(f"{config}:4: data.source: ")
    assert "image3.nii.gz" in source


def test_a_missing_table_and_a_wrong_column(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fault,) = faults_of(capsys, config, "data.source.patient=patiant")
    assert "did you mean 'patient'" in fault
    (config.parent / "cases.csv").unlink()
    (fault,) = faults_of(capsys, config)
    assert fault.startswith(f"{config}:4: data.source: ")


def test_values_without_a_class_are_one_fault_for_all_masks(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(8):
        add_value(config.parent, number, 3 + number % 2)
    heading, *lines = faults_of(capsys, config)
    assert heading.startswith(f"{config}:2: task.classes: label values without a class (8): correct the masks")
    assert [line.split()[:3] for line in lines] == [["case", f"image{k}", f"label{k}.nii.gz"] for k in range(8)]
    assert ["label values [3]" in line for line in lines] == [True, False] * 4


def test_an_unreadable_image_is_found(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_value(config.parent, 1, 5)
    (config.parent / "image6.nii.gz").write_bytes(b"no image")
    found = faults_of(capsys, config)
    assert len(found) == 2
    assert "[5]" in found[0]
    assert "image6" in found[1]


def test_labels_without_a_class_are_all_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = np.zeros((6, 28, 28), dtype=np.uint8)
    parts = {f"{part}_images": images for part in ("train", "val", "test")}
    labels = {f"{part}_labels": np.array([[0], [1], [2], [3], [0], [1]]) for part in ("train", "val", "test")}
    arrays: dict[str, Any] = {**parts, **labels}
    np.savez(tmp_path / "d.npz", **arrays)
    file = tmp_path / "a.yaml"
    file.write_text(
        "name: x\ntask: {kind: classification, classes: [a, b]}\ndata:\n"
        f"  source: {{kind: medmnist, file: {tmp_path}/d.npz, patients: {{each_case: true}}}}\n"
        "  split: predefined\nnetwork: {kind: lenet5, dropuot: 0}\nloss: cross_entropy\nmetrics: accuracy\n"
    )
    found = faults_of(capsys, file)
    assert [fault.removeprefix(f"{file}:")[:17] for fault in found] == ["2: task.classes: "] * 2 + ["6: network.dropuo"]
    assert "'2'" in found[0]
    assert "'3'" in found[1]


def test_nothing_is_generated_while_something_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    text = TEXT.format(folder=tmp_path)
    file.write_text(re.sub(r"source: .*", f"source: {{kind: phantom, folder: {tmp_path}/p}}", text))
    (fault,) = faults_of(capsys, file, "loss=dcie")
    assert "dcie" in fault
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize(
    "content", [b"", b"- a\n", b"a: [1\n", b"\xff\xfe", b"a: 1\na: 2\n", b"[" * 3000, b"a: &a [*a]\n"]
)
def test_no_file_is_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    assert all(fault.startswith(f"{file}:") for fault in faults_of(capsys, file))


def test_the_command_answers_within_five_seconds(config: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hilum", "check", str(config), "loss=dcie", "network.channles=[4]"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 2
    assert said[-1] == "2 problems found"
    assert "Traceback" not in done.stderr
    assert "matplotlib" not in done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # not the clock: other tests may keep the processor busy
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def test_the_table_has_what_is_wrong_with_the_configuration_and_with_the_data(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_value(config.parent, 2, 7)
    file = config.parent / "tables" / "found.csv"
    faults_of(capsys, config, "loss=dcie", "--table", file)
    first, second = rows_of(file)
    assert (first["kind"], first["file"]) == ("configuration", "command line: loss=dcie")
    assert "did you mean 'dice'" in first["received"]
    assert (second["kind"], second["case"]) == ("label values without a class", "image2")
    assert second["file"].endswith("label2.nii.gz")
    assert second["fix"]


def test_a_table_that_cannot_be_written_is_refused_at_once(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in (config.parent, config / "found.csv"):
        (fault,) = faults_of(capsys, config, "--table", file)
        assert f"{file} cannot be written" in fault


def test_strict_takes_warnings_for_errors(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(config), "--table", str(config.parent / "found.csv")]) == 0
    capsys.readouterr()
    warned = rows_of(config.parent / "found.csv")
    assert {row["severity"] for row in warned} == {"warning"}
    faults_of(capsys, config, "--strict", "--table", config.parent / "strict.csv")
    assert [row | {"severity": "warning"} for row in rows_of(config.parent / "strict.csv")] == warned


def test_interrupted_it_says_so_and_nothing_else(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for module, name in (("index.scan", "read_header"), ("audit.looks", "read"), ("store", "prepare_case")):
        with monkeypatch.context() as patch:
            patch.setattr(import_module(f"hilum.data.{module}"), name, interrupt)
            assert main(["check", str(config), "--table", str(config.parent / "found.csv")]) == 130, module
        assert capsys.readouterr().err == "interrupted\n"
    assert not (config.parent / "found.csv").exists()


def test_the_estimate_counts_steps_and_validations(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(config), "train.epochs=7", "train.validate_every=3", "data.batch_size=3"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"\d s an epoch of 2 steps, [\d.e-]+ s a validation of 2 cases: ", out), out
    assert "for 7 epochs with 3 validations and the last scores" in out


def test_train_looks_at_all_headers_before_it_makes_a_run(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shifted = np.eye(4)
    shifted[0, 3] = 0.1
    for number in range(8):  # the test part, which training never prepares, too
        values = np.ones((12, 12, 12), dtype=np.int16)
        write_volume(config.parent / f"label{number}.nii.gz", values, shifted, sform_code=1, qform_code=1)
    assert main(["train", str(config), f"runs={config.parent / 'runs'}"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"{config}:4: data.source: origin differs (8): correct the origin in the header")
    assert [line.split()[1] for line in said[1:9]] == [f"image{number}" for number in range(8)]
    assert said[9:] == ["8 errors, 0 warnings"]
    assert not (config.parent / "runs").exists()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0123, "0.012 s"), (9.94, "9.9 s"), (45.4, "45 s"), (120, "2 min"), (5900, "98 min"), (36000, "10.0 h")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
