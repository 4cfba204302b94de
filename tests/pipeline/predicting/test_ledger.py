"""What is finished stays so exactly as long as input, weights, settings and output are what they were."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hilum.case import Case, ImageRef
from hilum.pipeline.predicting.folder import OutputFolder
from hilum.pipeline.predicting.ledger import INPUT, OUTPUT, SETUP, Input, Journal, input_of, known
from hilum.pipeline.predicting.shards import Shard
from hilum.pipeline.predicting.tables import Row

LONG_AGO_S = 1_000_000_000


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def output(tmp_path: Path) -> OutputFolder:
    found = OutputFolder(tmp_path / "out")
    found.state.mkdir(parents=True)
    return found


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return make(tmp_path, "a", "voxels")


def make(folder: Path, name: str, *texts: str | None) -> Case:
    """A case of one file a channel, with these contents; None is a missing channel."""
    refs = []
    for number, text in enumerate(texts):
        file = folder / f"{name}-{number}.nii"
        if text is not None:
            file.write_text(text)
            os.utime(file, (LONG_AGO_S, LONG_AGO_S))
        refs.append(None if text is None else ImageRef(file))
    return Case(name, "p", tuple(refs))


def finish(output: OutputFolder, case: Case, *, labels: str = "labels", setup: str = "s") -> Row:
    (output.path / f"{case.id}.nii").write_text(labels)
    made_from = input_of(case)
    row: Row = {"case_id": case.id, "patient_id": "p", "output": f"{case.id}.nii"}
    row |= {INPUT: made_from.sha256, OUTPUT: sha256(labels), SETUP: setup}
    Journal(output).finish(row, made_from)
    return row


def test_a_finished_case_is_known(output: OutputFolder, case: Case) -> None:
    row = finish(output, case)
    assert row[INPUT] == sha256("voxels")
    assert known(output).finished([case], output, setup="s") == {"a": row}
    assert known(output).finished([make(case.files[0].path.parent, "b", "x")], output, setup="s") == {}


def test_other_settings_redo_it(output: OutputFolder, case: Case) -> None:
    finish(output, case)
    assert known(output).finished([case], output, setup="other") == {}


def test_a_changed_input_redoes_it_and_a_touched_one_does_not(output: OutputFolder, case: Case) -> None:
    finish(output, case)
    file = case.files[0].path
    os.utime(file)
    assert known(output).finished([case], output, setup="s")
    file.write_text("vOxels")
    assert known(output).finished([case], output, setup="s") == {}
    file.unlink()
    assert known(output).finished([case], output, setup="s") == {}


def test_a_missing_or_changed_output_is_redone(output: OutputFolder, case: Case) -> None:
    finish(output, case)
    (output.path / "a.nii").write_text("Labels")
    assert known(output).finished([case], output, setup="s") == {}
    (output.path / "a.nii").unlink()
    assert known(output).finished([case], output, setup="s") == {}


def test_the_same_file_as_another_channel_is_another_input(output: OutputFolder, tmp_path: Path) -> None:
    case = make(tmp_path, "a", "t1", None)
    finish(output, case)
    moved = replace(case, images=(None, case.images[0]))
    assert known(output).finished([case], output, setup="s")
    assert known(output).finished([moved], output, setup="s") == {}
    assert input_of(make(tmp_path, "b", "t1", "t2")).sha256 == f"{sha256('t1')} {sha256('t2')}"


def test_frames_of_one_file_count_once_and_a_single_frame_by_its_number(case: Case) -> None:
    path = case.files[0].path
    channels = replace(case, images=tuple(ImageRef(path, index=number) for number in range(3)))
    assert input_of(channels).sha256 == sha256("voxels")
    third = replace(case, images=(ImageRef(path, index=2),))
    assert input_of(third).sha256 == f"{sha256('voxels')}[2]"


def test_a_patient_may_be_renamed(output: OutputFolder, case: Case) -> None:
    finish(output, case)
    found = known(output).finished([replace(case, patient="q")], output, setup="s")
    assert found["a"]["patient_id"] == "q"


def test_an_unchanged_file_is_not_read_again(
    output: OutputFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make(tmp_path, "a", "voxels")
    made_from = input_of(case)
    row: Row = {"case_id": "a", INPUT: made_from.sha256, SETUP: "s"}
    later_ns = time.time_ns() + 10_000_000_000
    monkeypatch.setattr("hilum.pipeline.predicting.ledger.time.time_ns", lambda: later_ns)
    Journal(output).finish(row, input_of(case))

    def never(case: Case) -> str:
        raise AssertionError("read again")

    monkeypatch.setattr("hilum.pipeline.predicting.ledger._content", never)
    assert known(output).finished([case], output, setup="s") == {"a": row | {"patient_id": "p"}}


def test_a_file_that_changed_while_it_was_read_is_noticed(case: Case) -> None:
    made_from = input_of(case)
    assert not made_from.changed(case)
    case.files[0].path.write_text("more voxels")
    assert made_from.changed(case)


@pytest.mark.parametrize(("age_s", "settled"), [(1, False), (3, True)])
def test_a_file_that_has_just_changed_may_do_so_again(
    case: Case, monkeypatch: pytest.MonkeyPatch, age_s: int, settled: bool
) -> None:
    """Within one tick of its clock, which is two seconds long on some file systems."""
    changed_ns = case.files[0].path.stat().st_ctime_ns
    monkeypatch.setattr("hilum.pipeline.predicting.ledger.time.time_ns", lambda: changed_ns + age_s * 1_000_000_000)
    assert input_of(case).settled is settled


def test_journals_of_all_parts_count_and_torn_lines_do_not(output: OutputFolder, case: Case) -> None:
    part = output.of(Shard(2, 8))
    finish(part, case)
    with output.journal.open("w") as journal:
        journal.write('{"begun": "b"}\n{"begun": "b"}\n{"begun": "c"}\n{"ended": "c"}\nnull\n{"row": {"case_')
    found = known(output)
    assert set(found.finished([case], output, setup="s")) == {"a"}
    assert found.unended == {"b": 2}


def test_only_outputs_of_other_images_or_settings_are_stale(output: OutputFolder, case: Case) -> None:
    finish(output, case, labels="old", setup="before")
    finish(output, case, labels="new")
    assert known(output).stale_outputs(case, setup="s") == {("a.nii", sha256("old"))}
    assert known(output).stale_outputs(case, setup="later") == {("a.nii", sha256("old")), ("a.nii", sha256("new"))}
    case.files[0].path.unlink()  # a share that is away for an hour is no reason to remove anything
    assert known(output).stale_outputs(case, setup="s") == set()


def finish_with(output: OutputFolder, case: Case, forms: dict[str, str], *, setup: str = "s") -> Row:
    """A case with files besides its labels."""
    row = finish(output, case, setup=setup)
    for name in forms:
        file = output.extra(name) / "a.bin"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{name} {setup}")
        row |= {name: str(file.relative_to(output.path)), f"{name}_sha256": sha256(f"{name} {setup}")}
    Journal(output).finish(row, input_of(case), forms)
    return row


def test_files_on_request_are_part_of_what_is_finished(output: OutputFolder, case: Case) -> None:
    def finished(**wanted: str) -> dict[str, Row]:
        return known(output).finished([case], output, setup="s", wanted=lambda _: wanted)

    labels = finish(output, case)
    assert finished() == {"a": labels}
    assert finished(probabilities="float32") == {}
    row = finish_with(output, case, {"probabilities": "float32", "overlay": "png"})
    assert finished(probabilities="float32", overlay="png") == {"a": row}
    assert finished(probabilities="uint8") == {}  # in another form
    assert set(finished(overlay="png")["a"]) == {*labels, "overlay", "overlay_sha256"}
    (output.path / "probabilities" / "a.bin").write_text("other")
    assert finished(probabilities="float32") == {}
    assert finished(overlay="png") != {}
    (output.path / "overlays" / "a.bin").unlink()
    assert finished(overlay="png") == {}
    assert finished() == {"a": labels}


def test_what_was_made_of_other_settings_and_is_not_made_now_is_stale(output: OutputFolder, case: Case) -> None:
    finish_with(output, case, {"probabilities": "float32", "overlay": "png"}, setup="before")
    stale = {("probabilities/a.bin", sha256("probabilities before")), ("overlays/a.bin", sha256("overlay before"))}
    now: Row = {"output": "a.nii", INPUT: sha256("voxels"), SETUP: "s"}
    assert known(output).stale_beside(case, now) == stale
    assert known(output).stale_beside(case, now | {SETUP: "before"}) == set()
    drawn = now | {"overlay": "overlays/a.bin"}
    assert known(output).stale_beside(case, drawn) == {("probabilities/a.bin", sha256("probabilities before"))}
    assert known(output).stale_outputs(case, setup="s") == {*stale, ("a.nii", sha256("labels"))}


def test_an_input_is_its_files(case: Case) -> None:
    assert isinstance(input_of(case), Input)
