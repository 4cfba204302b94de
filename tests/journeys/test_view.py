"""`hilum view`: the cases of a run and of a folder of predictions, as the page is given them, and its clean end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from tests.journeys.conftest import Hilum, nifti, parts, read_csv, write_csv

from hilum.pipeline.viewing.serving import serving
from hilum.pipeline.viewing.sources import gather
from hilum.report.viewer.server import Server

VALUES = {"organ": 1, "lesion": 2}


@pytest.fixture(scope="module")
def predictions(hilum: Hilum, trained: Path, phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantoms as new scans, predicted by the run, two of them flagged."""
    images = tmp_path_factory.mktemp("scans")
    for file in sorted((phantoms / "images").iterdir())[:3]:
        (images / file.name).symlink_to(file)
    out = tmp_path_factory.mktemp("predicted") / "out"
    done = hilum("predict", trained, images, out)
    assert done.code == 0, done.text
    rows = read_csv(out / "results.csv")
    for row, flags in zip(rows, ("", "no lesion; at the border", "at the border"), strict=True):
        row["flags"], row["flag_reasons"] = flags, f"reason of {flags}" if flags else ""
    write_csv(out / "results.csv", rows)
    return out


@contextmanager
def served(folder: Path, **settings: Any) -> Iterator[Server]:
    with serving(gather(folder, **settings), say=lambda line: None) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server: Server, path: str) -> bytes:
    with urllib.request.urlopen(server.address + path, timeout=30) as answer:
        content: bytes = answer.read()
    return content


def told(server: Server, path: str) -> Any:
    return json.loads(ask(server, path))


def volume(server: Server, path: str) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(ask(server, path))


def predicted(server: Server, index: int) -> np.ndarray:
    end = time.monotonic() + 60
    while (state := told(server, f"progress/{index}"))["state"] == "predicting":
        assert time.monotonic() < end, state
        time.sleep(0.05)
    assert state["state"] == "ready", state
    return np.asanyarray(volume(server, f"prediction/{index}.nii").dataobj)


def test_the_list_holds_every_case_with_its_part_and_its_score(trained: Path) -> None:
    with served(trained) as server:
        listing = told(server, "cases.json")
    divided = parts(trained)
    assert {(one["id"], one["part"]) for one in listing["cases"]} == {
        (case, part) for part, cases in divided.items() for case in cases
    }
    assert listing["part"] == "val"
    assert [one["name"] for one in listing["classes"]] == list(VALUES)
    rows = read_csv(trained / "cases.csv")
    for one in listing["cases"]:
        own = [float(row["dice"]) for row in rows if row["case_id"] == one["id"]]
        assert one["scored"] == bool(own)
        assert one["score"] == (pytest.approx(np.mean(own)) if own else None)


def test_image_truth_and_prediction_are_those_of_the_files(trained: Path, phantoms: Path) -> None:
    rows = read_csv(trained / "cases.csv")
    with served(trained) as server:
        listing = told(server, "cases.json")
        case = next(one for one in listing["cases"] if one["scored"])
        image, truth = volume(server, f"image/{case['index']}/0.nii"), volume(server, f"truth/{case['index']}.nii")
        shown = predicted(server, case["index"])
        about = told(server, f"case/{case['index']}")
        centre = told(server, f"middle/truth/{case['index']}")["mm"]
    file = nifti(next((phantoms / "images").glob(f"{case['id']}*")))
    label = nifti(next((phantoms / "labels").glob(f"{case['id']}*")))
    assert np.allclose(np.asanyarray(image.dataobj), file.get_fdata(), atol=1e-3)
    assert np.allclose(image.affine, file.affine, atol=1e-5)
    assert np.array_equal(np.asanyarray(truth.dataobj), np.asanyarray(label.dataobj))
    i, j, k = np.rint(nib.affines.apply_affine(np.linalg.inv(label.affine), centre)).astype(int)
    assert np.asanyarray(label.dataobj)[i, j, k] > 0
    own = {row["class"]: row for row in rows if row["case_id"] == case["id"]}
    for number, name in enumerate(VALUES, start=1):
        assert (shown == number).sum() == int(own[name]["predicted_voxels"])
    assert {row["name"]: row["values"] for row in about["rows"]} == {
        name: [pytest.approx(float(row["dice"]))] for name, row in own.items()
    }


def test_masks_of_a_folder_are_shown_in_place_of_predictions(trained: Path, predictions: Path) -> None:
    rows = {row["case_id"]: row for row in read_csv(predictions / "results.csv")}
    with served(trained, predictions=predictions) as server:
        listing = told(server, "cases.json")
        there = [one for one in listing["cases"] if one["prediction"]]
        assert {one["id"] for one in there} == set(rows)
        for one in there:
            expected = np.asanyarray(nifti(predictions / rows[one["id"]]["output"]).dataobj)
            assert np.array_equal(predicted(server, one["index"]), expected)
        absent = next(one for one in listing["cases"] if not one["prediction"])
        assert told(server, f"progress/{absent['index']}")["state"] == "failed"


def test_a_folder_of_predictions_has_its_images_masks_and_flags(predictions: Path) -> None:
    with served(predictions) as server:
        listing = told(server, "cases.json")
        reasons = [told(server, f"case/{one['index']}")["reasons"] for one in listing["cases"]]
        masks = [predicted(server, one["index"]) for one in listing["cases"]]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(server, "truth/0.nii")
    assert listing["flags"] == ["at the border", "no lesion"]
    assert [one["flags"] for one in listing["cases"]] == [[], ["no lesion", "at the border"], ["at the border"]]
    assert reasons == [[], ["reason of no lesion", "at the border"], ["reason of at the border"]]
    assert not any(one["truth"] for one in listing["cases"])
    for row, mask in zip(read_csv(predictions / "results.csv"), masks, strict=True):
        assert np.array_equal(mask, np.asanyarray(nifti(predictions / row["output"]).dataobj))


def test_viewing_writes_nothing_into_the_run(trained: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in trained.rglob("*")}
    with served(trained) as server:
        predicted(server, 0)
    assert {file: file.stat().st_mtime_ns for file in trained.rglob("*")} == before


def test_mistakes_are_messages(
    hilum: Hilum, trained: Path, predictions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilum.pipeline.viewing.serving.refuse_without_niivue", lambda: None)
    hilum("view", tmp_path).refuses("holds neither a run nor predictions")
    hilum("view", tmp_path / "nothing").refuses("there is no such folder")
    hilum("view", trained.parent).refuses("holds several runs: view one of them")
    hilum("view", trained, "--part", "vall").refuses("received the part 'vall'", "did you mean 'val'?")
    hilum("view", trained, "--predictions", tmp_path).refuses("holds no prediction of these cases")
    hilum("view", trained, "optimizer.lr=1").refuses("trained with another setting")
    hilum("view", predictions, "--part", "val").refuses("--part: for a run")


def test_without_niivue_the_command_says_how_to_get_it(
    hilum: Hilum, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilum.report.viewer.assets.NIIVUE", "absent.js")
    hilum("view", trained).refuses("NiiVue 0.69.0", "make setup", "@niivue/niivue")


def test_interrupting_ends_it_cleanly(trained: Path) -> None:
    code = (
        "import sys, hilum.cli, hilum.pipeline.viewing.serving as serving; "
        "serving.refuse_without_niivue = lambda: None; sys.exit(hilum.cli.main())"
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    process = subprocess.Popen(
        [sys.executable, "-c", code, "view", str(trained), "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.match(r"(http://127\.0\.0\.1:\d+/[\w-]+/)  \(this machine only; Ctrl-C ends it\)", line)
    assert found, line + process.stdout.read()
    with urllib.request.urlopen(found[1] + "cases.json", timeout=30) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "ended\n")
