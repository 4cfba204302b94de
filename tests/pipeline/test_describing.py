"""What a check says of the network of a study: the layers that drop voxels at the border."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hilum.experiment import load
from hilum.pipeline.describing import dropped_borders

CONFIG = """\
name: borders
task: {kind: classification, classes: [a, b]}
data:
  source: {kind: csv_table, file: cases.csv, patient: patient_id}
  prepare: [{kind: resize, size: [15, 12]}]
  missing: {presence: true}
network: {kind: convnet, channels: [2, 2]}
loss: cross_entropy
metrics: auroc
"""


@pytest.mark.parametrize(
    ("size", "dropped"), [([16, 12], []), ([15, 12], ["features.pool1 drops the last voxel of axis 0"])]
)
def test_layers_that_drop_voxels_are_named(size: list[int], dropped: list[str], tmp_path: Path) -> None:
    """15 pixels become 7 and 3, and 7 is odd too."""
    file = tmp_path / "borders.yaml"
    file.write_text(CONFIG)
    experiment = load(file, [f"data.prepare.0.size={size}"])
    study: Any = SimpleNamespace(
        experiment=experiment,
        problem=experiment.problem(("t1", "t2"), (*size, 1), 2),
        frame=SimpleNamespace(shape=tuple(size)),
    )
    found = [remark.partition(":")[0] for remark in dropped_borders(study)]
    assert found == [*dropped, *(["features.pool2 drops the last voxel of axis 0"] if dropped else [])]
