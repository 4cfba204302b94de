"""The plugin of CONTRIBUTING.md, followed to the letter: listed, in the schema, trained, used."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.journeys.conftest import Hilum

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_documented_plugin_works(
    command: Hilum, write_config: Callable[..., Path], phantoms: Path, tmp_path: Path
) -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (code,) = [block for block in blocks if 'kind="tiny"' in block]
    assert len(code.splitlines()) <= 30
    plugin = tmp_path / "my_network.py"
    plugin.write_text(code)
    listed = command("list", "networks", "tiny", "--plugin", plugin)
    assert listed.code == 0, listed.text
    assert "Feature maps between the two convolutions." in listed.out
    schema = command("schema", "--plugin", plugin)
    assert schema.code == 0, schema.text
    text = json.dumps(json.loads(schema.out))
    assert "Two convolutions: something to start from" in text
    config = write_config(tmp_path, more="plugins: [./my_network.py]\n")
    trained = command("train", config, "network={kind: tiny, width: 4}", "train.epochs=1")
    assert trained.code == 0, trained.text
    plugin.unlink()  # the run keeps a copy of its own
    run = tmp_path / "runs" / "tiny"
    image = min((phantoms / "images").iterdir())
    predicted = command("predict", run, image, tmp_path / "out")
    assert predicted.code == 0, predicted.text
    assert (tmp_path / "out" / image.name).exists()


def test_a_plugin_that_fails_is_named_with_its_line(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "broken_plugin.py").write_text("import nonexistent_module_of_mine\n")
    config = write_config(tmp_path, more="plugins: [broken_plugin.py]\n")
    number = len(config.read_text().splitlines())
    hilum("check", config).refuses(f"tiny.yaml:{number}:", "broken_plugin.py", "nonexistent_module_of_mine")


def test_settings_of_a_plugin_are_checked(command: Hilum, tmp_path: Path) -> None:
    code = (
        '"""A plugin."""\nfrom hilum.prepare.base import PrepareConfig\n'
        'class Same(PrepareConfig, kind="same"):\n    """Nothing."""\n    amount: int = 1\n'
        "    def apply(self, image, label):\n        return image, label\n"
    )
    (tmp_path / "same.py").write_text(code)
    (tmp_path / "x.yaml").write_text(
        "name: x\nplugins: [same.py]\ntask: {kind: segmentation, classes: [a, b]}\ndata:\n"
        "  source: {kind: phantom}\n  prepare:\n    - {kind: same, amout: 2}\n"
        "network: unet\nloss: dice\nmetrics: [dice]\n"
    )
    command("check", tmp_path / "x.yaml").refuses("x.yaml:7:", "amout", "did you mean 'amount'")
