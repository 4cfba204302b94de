"""Deep supervision, patches by structure and chosen post-processing in one run: killed, resumed, in two processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.journeys.conftest import Hilum, read_csv, read_json, read_log
from tests.journeys.test_ranks import torchrun

RECIPE = [
    "network={kind: unet, channels: [4, 6, 8, 8], deep_supervision: true, dropout: 0.2}",
    "data.patch={size: [16, 16, 16], foreground: 0.5, classes: balanced}",
    "predict={postprocess: auto}",
    "optimizer.lr=0.02",
    "train.epochs=5",
]


@pytest.fixture(scope="module")
def whole(hilum: Hilum, write_config: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped, to be read only."""
    folder = tmp_path_factory.mktemp("quality")
    done = hilum("train", write_config(folder), *RECIPE)
    assert done.code == 0, done.text
    assert "post-processing: " in done.out
    return folder / "runs" / "tiny"


def assert_same(run: Path, whole: Path) -> None:
    facts, expected = read_json(run / "provenance.json"), read_json(whole / "provenance.json")
    assert facts["weights_sha256"] == expected["weights_sha256"]
    assert facts["postprocess"] == expected["postprocess"]
    assert read_json(run / "postprocess.json") == read_json(whole / "postprocess.json")
    assert read_log(run) == read_log(whole)
    assert read_csv(run / "cases.csv") == read_csv(whole / "cases.csv")


@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_the_same_weights_and_the_same_choice(
    hilum: Hilum, command: Hilum, write_config: Callable[..., Path], alarm: Path, whole: Path, tmp_path: Path
) -> None:
    trigger = tmp_path / "trigger"
    trigger.write_text("sample 7 SIGKILL")
    augment = f"data.augment=[{{kind: affine, probability: 0.7}}, noise, {{kind: alarm, trigger: {trigger}}}]"
    config = write_config(tmp_path, more=f"plugins: [{alarm.name}]\n")
    assert command("train", config, *RECIPE, augment).code == -9
    run = tmp_path / "runs" / "tiny"
    assert not (run / "postprocess.json").exists()
    early = hilum("evaluate", run)
    assert early.code == 0, early.text
    assert "not chosen for these weights, since the training has not ended with them: none" in early.out
    done = hilum("train", "--resume", run)
    assert done.code == 0, done.text
    assert_same(run, whole)
    (run / "postprocess.json").unlink()  # what a kill while choosing leaves
    (run / ".choosing-0").mkdir()
    (run / ".choosing-0" / "0.labels.npy").write_text("cut off")
    assert hilum("train", "--resume", run).code == 0
    assert_same(run, whole)
    assert not (run / ".choosing-0").exists()


def test_the_choice_is_applied_and_told_and_can_be_left_away(
    hilum: Hilum, phantoms: Path, whole: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "tiny"))
    chosen = read_json(run / "postprocess.json")
    assert chosen["steps"], "the planted noise of an unfinished training should leave specks to remove"
    assert read_json(run / "provenance.json")["postprocess"] == chosen["steps"]
    told = "post-processing, chosen on the validation patients: " + chosen["steps"][0]["kind"]
    with_it = hilum("evaluate", run)
    assert told in with_it.out

    def by_patient() -> dict[str, float]:
        scores: dict[str, dict[str, list[float]]] = {}
        for row in read_csv(run / "cases.csv"):
            scores.setdefault(row["class"], {}).setdefault(row["patient_id"], []).append(float(row["dice"]))
        return {
            name: sum(sum(each) / len(each) for each in patients.values()) / len(patients)
            for name, patients in scores.items()
        }

    assert by_patient() == pytest.approx({name: dice["with"] for name, dice in chosen["validation_dice"].items()})
    without = hilum("evaluate", run, "predict.postprocess=[]")
    assert "chosen on the validation" not in without.out
    assert by_patient() == pytest.approx({name: dice["without"] for name, dice in chosen["validation_dice"].items()})
    image = next((phantoms / "images").iterdir())
    assert told in hilum("predict", run, image, tmp_path / "out").out


@pytest.mark.slow
def test_two_processes_choose_together(hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path) -> None:
    done = torchrun("train", write_config(tmp_path), *RECIPE, "train.epochs=2")
    assert done.code == 0, done.text
    assert done.out.count("post-processing: ") == 1
    run = tmp_path / "runs" / "tiny"
    before = (run / "cases.csv").read_bytes()
    chosen = read_json(run / "postprocess.json")
    (run / "postprocess.json").unlink()
    assert hilum("train", "--resume", run).code == 0
    assert read_json(run / "postprocess.json") == chosen  # one process decides as two do
    assert (run / "cases.csv").read_bytes() == before
    assert not list(run.glob(".choosing*"))


def test_what_cannot_be_chosen_is_refused_before_training(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    config = write_config(tmp_path)
    nobody = "data.split={kind: holdout, val: 0, test: 0.2, seed: 1}"
    hilum("train", config, *RECIPE, nobody).refuses("predict.postprocess", "needs validation patients")
    hilum("train", config, "data.patch.classes={organs: 1}").refuses("data.patch.classes", "did you mean 'organ'?")
    shallow = "network={kind: unet, channels: [4, 8], deep_supervision: true}"
    hilum("train", config, shallow).refuses("network.deep_supervision", "2 levels")
    assert not (tmp_path / "runs").exists()
