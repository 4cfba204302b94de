"""Files that run code where they are read the careless way, checkpoint, cache and configuration: here none does."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hilum.case import Case
from hilum.data.store import Store
from hilum.data.stored import open_mapped
from hilum.errors import CheckpointError, ConfigError
from hilum.experiment import load as load_experiment
from hilum.pipeline.session import load_last
from hilum.problem import Problem
from hilum.run import Run


class Harm:
    """Makes a folder when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os.mkdir, (str(self.proof),)


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    """What the code would make."""
    return tmp_path / "ran"


def test_the_harm_is_real(proof: Path) -> None:
    pickle.loads(pickle.dumps(Harm(proof)))
    assert proof.is_dir()


@pytest.mark.parametrize("place", ["model", "optimizer", "facts", "sha256"])
def test_a_checkpoint_with_code_at_any_place_is_refused_on_resume(tmp_path: Path, proof: Path, place: str) -> None:
    run = Run(tmp_path / "run")
    run.checkpoint("last").parent.mkdir(parents=True)
    content: dict[str, Any] = {"tensors": {"model": {}, "optimizer": {}}, "facts": "{}", "sha256": ""}
    (content if place in content else content["tensors"])[place] = Harm(proof)
    for name in ("last", "previous"):
        torch.save(content, run.checkpoint(name))
    with pytest.raises(CheckpointError, match=r"last\.pt .* could run code: it is not loaded"):
        load_last(run, torch.device("cpu"))
    assert not proof.exists()


@pytest.mark.parametrize("how", ["pickle", "torch", "numpy"])
def test_a_prepared_case_with_code_is_not_read(tmp_path: Path, proof: Path, how: str) -> None:
    file = tmp_path / "case.safetensors"
    if how == "pickle":
        file.write_bytes(pickle.dumps(Harm(proof)))
    elif how == "torch":
        torch.save({"image": Harm(proof)}, file)
    else:
        with file.open("wb") as stream:
            np.save(stream, np.array([Harm(proof)], dtype=object), allow_pickle=True)
    with pytest.raises(Exception, match=r"(?i)header|safetensor|invalid"):
        open_mapped(Case("x", "x", ()), file)
    assert not proof.exists()


def test_what_was_fitted_is_read_as_json_only(tmp_path: Path, proof: Path) -> None:
    from hilum.data.fit import Fit

    problem = Problem("segmentation", 2, ("image",), ("background", "organ"), ((0,), (1,)))
    fit = Fit.of(Store(tmp_path, problem, []), ())
    key = fit._key(fit.store, "targets")
    (tmp_path / f"fit-{key}.json").write_bytes(pickle.dumps(Harm(proof)))
    assert fit._remembered(fit.store, "targets", lambda: "found anew") == "found anew"
    assert not proof.exists()


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.mkdir ['{proof}']",
        "!!python/object/new:os.mkdir ['{proof}']",
        "!!python/name:os.mkdir",
        "!!python/module:os",
        "!harm '{proof}'",
        "$(mkdir {proof})",
        "${{oc.env:HOME}}",
        "$__import__('os').mkdir('{proof}')",
        "{{_target_: os.mkdir, path: '{proof}'}}",
    ],
)
@pytest.mark.parametrize("place", ["file", "override"])
def test_a_configuration_runs_nothing(tmp_path: Path, proof: Path, value: str, place: str) -> None:
    said = value.format(proof=proof)
    file = tmp_path / "x.yaml"
    file.write_text(f"name: x\nnetwork: {said}\n" if place == "file" else "name: x\nnetwork: unet\n")
    with pytest.raises(ConfigError, match="network"):
        load_experiment(file, [] if place == "file" else [f"network={said}"])
    assert not proof.exists()
