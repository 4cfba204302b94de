"""From noisy images to clean ones: pairs from a table, or noise that is made; float images on the input's own grid."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from tests.journeys.conftest import Hilum, nifti, read_csv, read_json, write_csv
from torch import Tensor, nn

from hilum.training.histograms import Values, layer_values

CONFIG = """\
name: restored
task: restoration
data:
  source: {source}
  split: {{kind: holdout, val: 0.3, test: 0.2, seed: 1}}
  prepare: {prepare}
  augment: [{{kind: flip, axes: [{axis}]}}, {{kind: affine, probability: 0.3}}]
  {more}
  batch_size: 4
  cache: {folder}/cache
network: {{kind: unet, channels: [8, 16]}}
loss: mse
metrics: [psnr, ssim, mae]
optimizer: {{kind: adam, lr: 1e-2}}
schedule: cosine
train: {{epochs: 1, steps_per_epoch: 60, report: false}}
runtime: {{device: cpu, precision: float32, threads: 1}}
runs: {folder}/runs
"""
AFFINE = np.array([[-1.5, 0.1, 0, 40], [0.1, 1.5, 0, -20], [0, 0, 4, 3], [0, 0, 0, 1]])


def blobs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A smooth image with values from about 0 to 1000."""
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    centre = rng.uniform(-0.4, 0.4, len(shape))
    distance = sum((axis - middle) ** 2 for axis, middle in zip(axes, centre, strict=True))
    return 1000 * np.exp(-distance / rng.uniform(0.1, 0.5))


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten noisy volumes with their clean ones, oblique and stored as integers."""
    folder, rng = tmp_path_factory.mktemp("scans"), np.random.default_rng(0)
    rows = []
    for number in range(10):
        clean = blobs(rng, (20, 18, 12))
        noisy = clean + rng.normal(0, 120, clean.shape)
        for name, values in (("clean", clean), ("noisy", noisy)):
            nib.save(nib.Nifti1Image(values.astype(np.int16), AFFINE), folder / f"{name}{number}.nii.gz")
        rows.append({"image": f"noisy{number}.nii.gz", "wanted": f"clean{number}.nii.gz", "person": f"p{number}"})
    write_csv(folder / "cases.csv", rows)
    source = f"{{kind: csv_table, file: {folder}/cases.csv, label: wanted, patient: person}}"
    more = "patch: {size: [16, 16]}\n  slice_axis: 2"
    text = CONFIG.format(folder=folder, source=source, prepare="[zscore]", axis="i", more=more)
    (folder / "pairs.yaml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def denoiser(hilum: Hilum, scans: Path) -> Path:
    done = hilum("train", scans / "pairs.yaml")
    assert done.code == 0, done.text
    return scans / "runs" / "restored"


def test_pairs_are_scored_as_scikit_image_scores_what_is_written(
    hilum: Hilum, denoiser: Path, scans: Path, tmp_path: Path
) -> None:
    skimage = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    rows = read_csv(denoiser / "cases.csv")
    listed = [{"image": scans / f"{row['case_id']}.nii.gz", "case_id": row["case_id"]} for row in rows]
    done = hilum("predict", denoiser, write_csv(tmp_path / "val.csv", listed), tmp_path / "out")
    assert done.code == 0, done.text
    for row in rows:
        source = nifti(scans / f"{row['case_id']}.nii.gz")
        written = nifti(tmp_path / "out" / f"{row['case_id']}.nii.gz")
        assert written.affine.tobytes() == source.affine.tobytes()
        assert written.get_data_dtype() == np.float32
        truth = np.asarray(
            nifti(scans / f"{row['case_id'].replace('noisy', 'clean')}.nii.gz").dataobj, dtype=np.float64
        )
        found, given = (np.asarray(image.dataobj, dtype=np.float64) for image in (written, source))
        data_range = truth.max() - truth.min()
        for suffix, image in (("", found), ("_input", given)):
            psnr = skimage.peak_signal_noise_ratio(truth, image, data_range=data_range)
            ssim = skimage.structural_similarity(
                truth, image, data_range=data_range, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
            )
            assert float(row[f"psnr{suffix}"]) == pytest.approx(psnr, rel=1e-6)
            assert float(row[f"ssim{suffix}"]) == pytest.approx(ssim, rel=1e-5)
            assert float(row[f"mae{suffix}"]) == pytest.approx(np.abs(truth - image).mean(), rel=1e-5)


def test_the_summary_has_answers_beside_inputs(denoiser: Path) -> None:
    overall = read_json(denoiser / "summary.json")["val"]["overall"]
    rows = read_csv(denoiser / "cases.csv")
    for name in ("psnr", "psnr_input", "ssim"):
        assert overall[name]["value"] == pytest.approx(np.mean([float(row[name]) for row in rows]))
    assert (denoiser / "cases_val.png").stat().st_size > 0


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clean pictures in a folder, from which noisy ones are made."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(1)
    (folder / "images").mkdir()
    for number in range(16):
        Image.fromarray((blobs(rng, (20, 20)) / 5).astype(np.uint8)).save(folder / "images" / f"i{number}.png")
    source = f"{{kind: folders, root: {folder}, masks: null, patients: {{each_case: true}}}}"
    more = "degrade: [{kind: noise, std: [0.4, 0.4], probability: 1}]"
    text = CONFIG.format(
        folder=folder, source=source, prepare="[{kind: window, low: 0, high: 255}]", axis="horizontal", more=more
    )
    (folder / "made.yaml").write_text(text)
    return folder


def test_made_noise_is_the_same_at_every_look(hilum: Hilum, command: Hilum, pictures: Path, tmp_path: Path) -> None:
    done = command("train", pictures / "made.yaml", "train.steps_per_epoch=20")
    assert done.code == 0, done.text
    run = pictures / "runs" / "restored"
    first = read_csv(run / "cases.csv")
    assert hilum("evaluate", run).code == 0
    assert read_csv(run / "cases.csv") == first
    rows = {row["case_id"]: float(row["psnr_input"]) for row in first}
    assert len(set(rows.values())) == len(rows)  # each case has noise of its own
    done = hilum("predict", run, pictures / "images" / "i0.png", tmp_path / "out")
    assert done.code == 0, done.text
    written = np.asarray(Image.open(tmp_path / "out" / "i0.tif"))
    assert written.shape == (20, 20)
    assert written.dtype == np.float32
    clean = np.asarray(Image.open(pictures / "images" / "i0.png")).astype(float)
    assert np.corrcoef(written.ravel(), clean.ravel())[0, 1] > 0.9


def test_a_look_inside_is_at_the_input_that_is_made(
    hilum: Hilum, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the clean image, of which the network learns that nothing is to be added."""
    noises = []

    def noted(model: nn.Module, loss: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Values]:
        noises.append(float((images - targets).std()))
        return layer_values(model, loss, images, targets)

    monkeypatch.setattr("hilum.pipeline.histograms.layer_values", noted)
    monkeypatch.setattr("hilum.pipeline.inside.layer_values", noted)
    words = [f"runs={tmp_path}", "train.steps_per_epoch=1", "train.log_histograms=true"]
    assert hilum("train", pictures / "made.yaml", *words).code == 0
    done = hilum("report", tmp_path / "restored", "--inside")
    assert done.code == 0, done.text
    assert len(noises) == 2
    assert min(noises) > 0.05


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["data.degrade=[]"], ["no wanted image", "data.degrade"]),
        (["data.degrade=[{kind: flip, axes: [horizontal]}]"], ["flip", "moves voxels"]),
        (["data.degrade=[{kind: nose}]"], ["did you mean 'noise'"]),
        (["data.prepare=[{kind: zscore, nonzero: true}]"], ["zscore", "do not lead back"]),
        (["loss=dice"], ["dice", "restoration"]),
        (["metrics=[auroc]"], ["auroc", "psnr"]),
        (["network=resnet"], ["resnet", "restoration"]),
        (["predict.memory_gb=1"], ["predict.memory_gb"]),
        (["predict.postprocess=auto"], ["predict.postprocess"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_mistakes_are_told_before_any_compute(hilum: Hilum, pictures: Path, words: list[str], told: list[str]) -> None:
    hilum("check", pictures / "made.yaml", *words).refuses(*told)


def test_wanted_images_and_made_inputs_exclude_each_other(hilum: Hilum, scans: Path) -> None:
    hilum("check", scans / "pairs.yaml", "data.degrade=[noise]").refuses("names wanted images already")
