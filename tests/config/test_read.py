"""Reading files and command-line overrides."""

from pathlib import Path
from typing import Any

import pytest

from hilum.config import inspect, read
from hilum.errors import ConfigError

TEXT = """\
name: x
network: unet
metrics: dice
train: {epochs: 5}
data:
  prepare:
    - {kind: spacing, mm: [1, 1, 1]}
    - zscore
  augment: []
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def message_of(file: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(file, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "location", "value"),
    [
        ("train.epochs=2", ("train", "epochs"), 2),
        ("train.ema=0.99", ("train", "ema"), 0.99),
        ("name=001", ("name",), "001"),
        ("predict.flips=[left_right, 2]", ("predict", "flips"), ["left_right", 2]),
        ("data.prepare.0.mm=[2, 2, 3]", ("data", "prepare", 0, "mm"), [2, 2, 3]),
        ("data.prepare.1={kind: window, low: 0}", ("data", "prepare", 1), {"kind": "window", "low": 0}),
        ("network.depth=3", ("network",), {"kind": "unet", "depth": 3}),
        ("data.prepare.1.nonzero=true", ("data", "prepare", 1), {"kind": "zscore", "nonzero": True}),
        ("metrics.0=iou", ("metrics",), ["iou"]),
        ("metrics.0.tolerance_mm=2", ("metrics",), [{"kind": "dice", "tolerance_mm": 2}]),
        ("runtime.device=cpu", ("runtime",), {"device": "cpu"}),
        ("train.ema=", ("train", "ema"), None),
        ("data.note=a=b", ("data", "note"), "a=b"),
        (" train.epochs =7", ("train", "epochs"), 7),
    ],
)
def test_overrides(file: Path, override: str, location: tuple[str | int, ...], value: Any) -> None:
    document = read(file, [override])
    found: Any = document.data
    for part in location:
        found = found[part]
    assert found == value
    last = override.partition("=")[0].strip().split(".")
    assert (
        document.where(tuple(int(part) if part.isdecimal() else part for part in last)) == f"command line: {override}"
    )


def test_the_last_override_wins_and_the_file_keeps_its_lines(file: Path) -> None:
    document = read(file, ["train.epochs=2", "train.epochs=3"])
    assert document.data["train"]["epochs"] == 3
    assert document.where(("train", "epochs")) == "command line: train.epochs=3"
    assert document.where(("data", "prepare", 0, "mm")) == f"{file}:7"


def test_a_parent_that_does_not_exist_is_found_on_the_command_line(file: Path) -> None:
    assert read(file, ["trian.epochs=2"]).where(("trian",)) == "command line: trian.epochs=2"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.epochs", "expected key=value"),
        ("=3", "expected key=value"),
        ("train..epochs=3", "expected key=value"),
        ("data.prepare.2.mm=1", "expected an index from 0 to 1"),
        ("data.prepare.first=1", "expected an index from 0 to 1"),
        ("data.augment.0=noise", "since it is empty"),
        ("train.epochs=[1", "not closed"),
        ("train.epochs=!!python/name:os.system x", "tags are refused"),
    ],
)
def test_overrides_that_cannot_be_used(file: Path, override: str, words: str) -> None:
    message = message_of(file, override)
    assert message.startswith(f"command line: {override}: ")
    assert words in message


def test_faults_of_the_file_and_of_overrides_come_together(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\na: 2\nb: !x 3\n")
    assert len(inspect(file, ["c", "d.=3"]).faults) == 4


def test_a_byte_order_mark_and_other_line_ends_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    document = read(file)
    assert document.data["name"] == "x"
    assert document.where(("train", "epochs")) == f"{file}:4"


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"", 1, "empty"),
        (b"# only a comment\n", 1, "empty"),
        (b"- a\n- b\n", 1, "received a list"),
        (b"hello\n", 1, "received a single value"),
        (b"a: 1\nb: \xe4\n", 2, "0xe4 is not UTF-8"),
        ("a: 1\n".encode("utf-16"), 1, "not UTF-8"),
        (b"a:\r\n\tb: 1\r\n", 2, "tab"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, content: bytes, line: int, words: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    message = message_of(file)
    assert message.startswith(f"{file}:{line}: ")
    assert words in message


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert "no such file" in message_of(tmp_path / "no.yaml")
    assert "a folder" in message_of(tmp_path)
