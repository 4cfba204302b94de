"""Several processes on one run: one folder, one row a case, whatever the number of ranks."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.journeys.conftest import Hilum, Result, parts, read_csv, read_json, read_log


def torchrun(*words: object) -> Result:
    """`hilum WORD...` in two processes; all of them are ended where they wait for each other."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "hilum"]
    with subprocess.Popen(
        [*start, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            process.terminate()  # torchrun ends its processes, killing it would leave them behind
            process.communicate()
            pytest.fail(f"two processes still wait for each other after 90 s: hilum {' '.join(map(str, words))}")
    return Result(process.returncode, out, err)


def test_a_killed_process_ends_the_others_with_a_message(
    write_config: Callable[..., Path], alarm: Path, tmp_path: Path
) -> None:
    trigger = tmp_path / "trigger"
    config = write_config(tmp_path, more=f"plugins: [{alarm.name}]\n")
    trigger.write_text("sample 4 SIGKILL")
    killed = torchrun("train", config, f"data.augment=[noise, {{kind: alarm, trigger: {trigger}}}]")
    assert killed.code != 0
    assert "another process of this run ended" in killed.text or "SIGTERM" in killed.text
    assert f"hilum train --resume {tmp_path / 'runs' / 'tiny'}" in killed.text


def test_two_processes_write_one_run(hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path) -> None:
    config = write_config(tmp_path)
    odd = "data.split={kind: holdout, val: 0.34, test: 0.17, seed: 1}"
    done = torchrun("train", config, odd, "network.dropout=0")
    assert done.code == 0, done.text
    run = tmp_path / "runs" / "tiny"
    assert hilum("train", config, odd, "network.dropout=0", "name=alone").code == 0
    for ours, alone in zip(read_log(run), read_log(run.with_name("alone")), strict=True):
        assert ours == pytest.approx(alone, rel=1e-4)  # loss curve and scores, in float32
    assert [line["epoch"] for line in read_log(run)] == [0, 1]
    assert done.out.count("run folder: ") == 1
    rows = Counter((row["case_id"], row["class"]) for row in read_csv(run / "cases.csv"))
    assert rows == {(case, name): 1 for case in parts(run)["val"] for name in ("organ", "lesion")}
    assert len(list((run / "tensorboard").iterdir())) == 2  # the epochs, and the charts of the evaluation
    facts = read_json(run / "provenance.json")
    assert facts["processes"] == 2
    assert "weights_sha256" in facts
    before = (run / "cases.csv").read_bytes()
    assert hilum("evaluate", run).code == 0
    assert (run / "cases.csv").read_bytes() == before  # scored by one process, whatever the number that trained
    again = torchrun("train", config, odd, "network.dropout=0")
    assert again.code != 0
    assert "--overwrite" in again.text
    longer = torchrun("train", "--resume", run, "train.epochs=3")
    assert longer.code == 0, longer.text
    assert [line["epoch"] for line in read_log(run)] == [0, 1, 2]


@pytest.mark.slow
def test_two_processes_train_fold_after_fold(write_config: Callable[..., Path], tmp_path: Path) -> None:
    """Each fold has a group of ranks of its own: the second must not look for the first one's."""
    config = write_config(tmp_path)
    split = "data.split={kind: kfold, folds: 2, val: 0, seed: 1}"
    done = torchrun("crossval", config, split, "train={epochs: 1}", "schedule={kind: constant}", "name=cv")
    assert done.code == 0, done.text
    folder = tmp_path / "runs" / "cv"
    assert [read_json(folder / name / "provenance.json")["processes"] for name in ("fold-0", "fold-1")] == [2, 2]
    scored = Counter((row["case_id"], row["class"]) for row in read_csv(folder / "cases.csv"))
    everybody = set.union(*parts(folder / "fold-0").values())
    assert scored == {(case, name): 1 for case in everybody for name in ("organ", "lesion")}
