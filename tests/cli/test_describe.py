"""`hilum describe`: the figures that courses and papers give, from names and configurations, as a table and as JSON."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from hilum import cli

ROOT = Path(__file__).parents[2]
CONFIG = """\
name: described
task: {kind: segmentation, classes: [none, organ]}
data:
  source: {kind: csv_table, file: cases.csv, patient: patient_id}
  patch: {size: [16, 32]}
network: {kind: unet, channels: [4, 8, 16]}
loss: dice
metrics: dice
"""


def said(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> str:
    assert cli.main(["describe", *map(str, words)]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def data(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    return json.loads(said(capsys, *words, "--json"))


IMAGENET = ["--size", "224x224", "--channels", "3", "--classes", "1000"]
PUBLISHED = [
    (["resnet", "depth=18"], "11 689 512"),
    (["resnet", "depth=34"], "21 797 672"),
    (["resnet", "depth=50"], "25 557 032"),
    (["densenet"], "7 978 856"),
    (["alexnet"], "61 100 840"),
    (["vgg"], "138 357 544"),
]
"""As torchvision lists them."""
SMALL = [
    (["mlp", "--size", "28x28", "--classes", "10"], "total", "266 610"),
    (["convnet", "channels=[10]", "--channels", "3", "--size", "32x32"], "features.conv1_1", "280"),
    (["convnet", "channels=[32]", "--channels", "228", "--size", "32x32"], "features.conv1_1", "65 696"),
    (["convnet", "channels=[6]", "kernel=5", "padding=valid", "--size", "32x32"], "features.conv1_1", "156"),
    (["locally_connected", "--size", "32x32"], "features.local1", "122 304"),
]
"""By hand: 784 x 300 + 300 and so on, 10 (27 + 1), 32 (9 x 228 + 1), 6 (25 + 1), 6 x 28 x 28 (25 + 1)."""


@pytest.mark.parametrize(("words", "figure"), PUBLISHED, ids=str)
def test_published_networks(words: list[str], figure: str, capsys: pytest.CaptureFixture[str]) -> None:
    total = said(capsys, *words, *IMAGENET).partition("\ntotal")[2].splitlines()[0]
    assert re.split(r"\s{2,}", total.strip())[0] == figure


@pytest.mark.parametrize(("words", "row", "figure"), SMALL, ids=str)
def test_layers_of_lectures(words: list[str], row: str, figure: str, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = [line for line in said(capsys, *words).splitlines() if line.startswith(f"{row} ")]
    assert figure in re.split(r"\s{2,}", line)


def test_the_published_unet_and_multiply_adds(capsys: pytest.CaptureFixture[str]) -> None:
    assert data(capsys, "unet_2015", "--size", "388x388")["parameters"] == pytest.approx(31.0e6, rel=0.002)
    # 1.8 and 15.5 billion multiply-adds (He et al. 2016, table 1; VGG-16 in Canziani et al. 2016).
    for words, billions in ((["resnet"], 1.82), (["vgg"], 15.47)):
        assert data(capsys, *words, *IMAGENET)["multiply_adds"] == pytest.approx(billions * 1e9, rel=0.005)


def test_in_3d_and_at_full_size_it_costs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    started = time.process_time()
    found = data(capsys, "resnet", "depth=50", "--size", "512x512x512", "--channels", "4")
    assert found["input"] == [4, 512, 512, 512]
    assert found["layers"][0]["output"] == [64, 256, 256, 256]
    assert found["layers"][0]["receptive_field"] == [7, 7, 7]
    assert time.process_time() - started < 20


def test_the_table_names_what_to_know(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "convnet", "channels=[4,8,16]", "--size", "30x32", "--classes", "3")
    lines = text.splitlines()
    assert lines[0] == "convnet: 1 channel of 30 x 32, 3 outputs"
    assert re.split(r"\s{2,}", lines[2]) == [
        "layer", "kind", "output", "parameters", "multiply-adds", "receptive field",
    ]  # fmt: skip
    assert re.split(r"\s{2,}", lines[3]) == [
        "features.conv1_1", "Conv2d", "4 x 30 x 32", "40", f"{30 * 32 * 36:,}".replace(",", " "), "3 x 3",
    ]  # fmt: skip
    evenly = "its stride does not divide evenly what it is given"
    assert [line for line in lines if line.startswith("- ") and "drops" in line] == [
        f"- features.{name} drops the last voxel of axis 0: {evenly}" for name in ("pool2", "pool3")
    ]


def test_where_the_receptive_field_exceeds_the_image(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convnet", "channels=[2,2,2]", "pooling=none", "reduce=average", "kernel=5", "--size", "8x16"]
    assert "- the receptive field exceeds the 8 x 16 of the image from features.conv2_1 on (9 x 9;" in said(
        capsys, *words
    )
    assert data(capsys, *words)["exceeding"] == ["features.conv2_1", "features.conv3_1"]


def test_a_configuration_without_its_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "described.yaml"
    file.write_text(CONFIG)
    text = said(capsys, file)
    assert text.splitlines()[0] == "unet: 1 channel of 16 x 32, 2 outputs"
    assert "- the data are not there: one channel is assumed (--channels)" in text
    found = data(capsys, file, "--channels", "3", "network.channels=[4,8]", "data.patch.size=[16,16,8]")
    assert found["input"] == [3, 16, 16, 8]
    assert not any("assumed" in remark for remark in found["remarks"])
    file.write_text(CONFIG.replace("  patch: {size: [16, 32]}\n", ""))
    assert "the data are not there to say how large the images are: add --size" in said(capsys, file, code=2)
    assert "--classes: the configuration has its own" in said(capsys, file, "--classes", "3", code=2)


def test_a_configuration_with_its_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import nibabel as nib
    import numpy as np

    for name in ("a_t1", "a_t2", "a_label"):
        nib.save(nib.Nifti1Image(np.zeros((32, 16, 8), np.int16), np.eye(4)), tmp_path / f"{name}.nii.gz")
    (tmp_path / "cases.csv").write_text("case_id,patient_id,t1,t2,label\na,p,a_t1.nii.gz,a_t2.nii.gz,a_label.nii.gz\n")
    file = tmp_path / "described.yaml"
    source = "{kind: csv_table, file: cases.csv, patient: patient_id, image: {t1: t1, t2: t2}}"
    text = CONFIG.replace("{kind: csv_table, file: cases.csv, patient: patient_id}", source)
    file.write_text(text.replace("  patch: {size: [16, 32]}\n", "  prepare: [{kind: spacing, mm: [2, 1, 1]}]\n"))
    found = data(capsys, file, f"data.source.file={tmp_path / 'cases.csv'}", f"data.source.root={tmp_path}")
    assert found["input"] == [2, 16, 16, 8]
    assert not any("assumed" in remark for remark in found["remarks"])
    assert data(capsys, ROOT / "configs" / "demo.yaml")["layers"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["resnett"], "did you mean 'resnet'?"),
        (["Unet"], "did you mean 'unet'?"),
        (["UNET2015"], "did you mean 'unet_2015'?"),
        (["nothing.yaml"], "nothing.yaml: no such file"),
        (["resnet", "depht=50"], "command line: depht=50: depht: unknown key 'depht'; did you mean 'depth'?"),
        (["resnet", "depth=51"], "command line: depth=51: depth: received 51"),
        (["resnet", "depth"], "expected key=value"),
        (["resnet", "--size", "224"], "--size: received 224, expected two or three lengths"),
        (["resnet", "--size", "large"], "--size: received 'large', expected two or three lengths"),
        (
            ["resnet", "--size", "9999999999x9999999999"],
            "--size: received 9999999999 x 9999999999, expected two or three",
        ),
        (["convnet", "hidden=[99999999999999]"], "this network cannot be built: "),
        (["resnet", "--channels", "0"], "--channels: received 0, expected at least 1"),
        (["lenet5", "--size", "12x32"], "axis 0 is 12, of which 4 reach c3 (a kernel of 5): nothing would come out"),
        (["densenet", "--size", "28x28"], "of which 1 reach transition3 (a kernel of 2)"),
        (["unet", "--size", "30x32"], "must be a multiple of 8"),
    ],
    ids=str,
)
def test_mistakes_are_named(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected in said(capsys, *words, code=2)


def test_a_run_is_described_by_its_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    assert f"received the folder '{tmp_path}': name its configuration, {tmp_path}/config.yaml" in said(
        capsys, tmp_path, code=2
    )
    assert said(capsys, tmp_path / "config.yaml").startswith("unet: 1 channel of 16 x 32, 2 outputs\n")
    assert said(capsys, "linear", "--classes", "1").startswith("linear: 1 channel of 224 x 224, 1 output\n")
