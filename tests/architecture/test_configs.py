"""Every shipped configuration passes `hilum check` and trains a step, on small data of its kind."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
# One step of two samples with narrow networks: what is tested is that everything fits, not what comes out.
SMALL = {
    "unet": ["network.channels=[2, 4, 6, 8]"],
    "resnet": ["network.width=4"],
    "densenet": ["network.growth=4"],
    "lenet5": [],
}
STEP = ["train.epochs=1", "train.steps_per_epoch=1", "schedule.warmup=0", "data.batch_size=2"]
RUNTIME = ["runtime.device=cpu", "runtime.precision=float32", "runtime.threads=1"]


def write_table(file: Path, rows: list[dict[str, Any]]) -> None:
    with file.open("w", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def blocks(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """A mask with a box of 1 and, within it, a box of 2."""
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(n // 5, n - n // 5) for n in shape)] = 1
    mask[tuple(slice(n // 3, n // 2) for n in shape)] = 2
    return mask


def decathlon(folder: Path, config: dict[str, Any]) -> list[str]:
    """Eight scans of four people, about the size of a hippocampus."""
    import nibabel as nib

    rng = np.random.default_rng(0)
    (folder / "imagesTr").mkdir()
    (folder / "labelsTr").mkdir()
    pairs, people = [], []
    for number in range(8):
        name = f"hippocampus_{number:03d}"
        mask = blocks(rng, (30 + number, 46, 34))
        image = (mask * 50 + rng.normal(100, 10, mask.shape)).astype(np.float32)
        for part, values in (("imagesTr", image), ("labelsTr", mask)):
            nib.save(nib.Nifti1Image(values, np.eye(4)), folder / part / f"{name}.nii.gz")
        pairs.append({"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"})
        people.append({"case_id": name, "patient_id": f"p{number // 2}"})
    (folder / "dataset.json").write_text(json.dumps({"modality": {"0": "MRI"}, "training": pairs}))
    write_table(folder / config["data"]["source"]["patients"]["table"], people)
    return [f"data.source.root={folder}"]


def medmnist(folder: Path, config: dict[str, Any]) -> list[str]:
    """A file of six training images and four in each of the other parts, of both classes."""
    shape = (28, 28, 28) if "3d" in config["name"] else (28, 28)
    rng = np.random.default_rng(1)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 6), ("val", 4), ("test", 4)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 2).astype(np.uint8)[:, None]
    np.savez(folder / "small.npz", **arrays)
    return [f"data.source.file={folder}/small.npz"]


def csv_table(folder: Path, config: dict[str, Any]) -> list[str]:
    """Grey pictures: X-rays of eight people with two each, or the slices of one stack with their masks."""
    rng = np.random.default_rng(2)
    if config["task"]["kind"] == "classification":
        rows = []
        for number in range(16):
            Image.fromarray(rng.integers(0, 256, (150, 140), dtype=np.uint8)).save(folder / f"{number}.png")
            finding = list(config["task"]["classes"].values())[number // 2 % 2]
            rows.append({"image": f"{number}.png", "label": finding, "patient_id": f"{number // 2:02d}"})
        write_table(folder / "labels.csv", rows)
        return [f"data.source.file={folder}/labels.csv", f"data.source.root={folder}"]
    with (ROOT / config["data"]["source"]["file"]).open(newline="") as table:
        listed = list(csv.DictReader(table))
    for row in listed:
        mask = (blocks(rng, (208, 200)) > 0).astype(np.uint8) * 255
        for column, values in (("image", mask // 2), ("label", mask)):
            file = folder / row[column]
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(file)
    return [f"data.source.file={ROOT / config['data']['source']['file']}", f"data.source.root={folder}"]


def phantom(folder: Path, config: dict[str, Any]) -> list[str]:
    """Phantom patients, as few and as coarse as will do."""
    coarse = ["data.source.patients=6", "data.source.scans_per_patient=1", "data.source.spacing_mm=5"]
    return [f"data.source.folder={folder}/phantom", *coarse, "network.channels=[2, 4, 6]"]


MAKERS: dict[str, Callable[[Path, dict[str, Any]], list[str]]] = {
    "decathlon": decathlon,
    "medmnist": medmnist,
    "csv_table": csv_table,
    "phantom": phantom,
}


def run(*words: str) -> tuple[int, str]:
    from hilum.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return code, out.getvalue() + err.getvalue()


def test_there_are_configurations_for_every_network() -> None:
    from hilum.registry import kinds

    used = {yaml.safe_load(file.read_text())["network"]["kind"] for file in CONFIGS}
    assert used == set(SMALL) <= set(kinds("networks"))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_shipped_configuration_passes_the_check_and_trains_a_step(file: Path, tmp_path: Path) -> None:
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    data = MAKERS[config["data"]["source"]["kind"]](tmp_path, config)
    small = [
        *SMALL[config["network"]["kind"]],
        *data,
        *STEP,
        *RUNTIME,
        f"runs={tmp_path}/runs",
        f"data.cache={tmp_path}/c",
    ]
    code, text = run("check", str(file), *small)
    assert code == 0, text
    assert "all checks passed" in text
    code, text = run("train", str(file), *small)
    assert code == 0, text
    folder = tmp_path / "runs" / config["name"]
    (line,) = (folder / "log.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 1
    with (folder / "cases.csv").open(newline="") as table:
        assert {row["part"] for row in csv.DictReader(table)} == {"val"}


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_shipped_configuration_explains_itself(file: Path) -> None:
    first, second, *_ = file.read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert "hilum" in second
    assert file.stem.replace("_", "-") == yaml.safe_load(file.read_text())["name"]
