"""500 volumes, 40 of them broken, killed with -9 at 25 random instants, or divided, against one undisturbed."""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

CONFIG = """\
name: tiny
task: {kind: segmentation, classes: {background: 0, organ: 1, lesion: 2}}
data:
  source: {kind: phantom, folder: cohort, patients: 6, scans_per_patient: 2, spacing_mm: 4.0, seed: 3}
  split: {kind: holdout, val: 0.34, test: 0.17, seed: 1}
  prepare: [canonical, {kind: spacing, mm: [4, 4, 4]}, zscore]
  patch: {size: [16, 16, 16], foreground: 0.5}
  batch_size: 2
  cache: cache
network: {kind: unet, channels: [8, 16]}
loss: dice_ce
metrics: [dice]
train: {epochs: 4}
runtime: {device: cpu, precision: float32, threads: 1}
runs: runs
"""
Voxels = npt.NDArray[np.float32]
Place = tuple[int, int]
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
TIMEOUT_S = 3600.0
POLL_S = 0.002
PARTS = (2, 4)
REACH = 1.8
"""How far the furthest kill lies, in shares of the cases that each kill has on average; below 2, none is too late."""


def saved(voxels: npt.NDArray[np.generic], affine: npt.NDArray[np.float64] = AFFINE) -> bytes:
    """A NIfTI file, uncompressed."""
    return bytes(nib.Nifti1Image(voxels, affine).to_bytes())


def patched(voxels: Voxels, **fields: object) -> bytes:
    """A NIfTI file with fields of its header as no tool would write them."""
    image = nib.Nifti1Image(voxels, AFFINE)
    content = bytearray(image.to_bytes())
    header = np.frombuffer(bytes(content[:348]), dtype=nib.Nifti1Header.template_dtype).copy()
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.tobytes()
    return bytes(content)


def zipped(content: bytes) -> bytes:
    """The content as a .gz file."""
    return gzip.compress(content, 1, mtime=0)


def sheared() -> npt.NDArray[np.float64]:
    """Axes at an angle that no scanner has."""
    affine = AFFINE.copy()
    affine[0, 1] = 6.0
    return affine


def with_one(voxels: Voxels, value: float) -> Voxels:
    """The volume with one voxel of this value."""
    changed = voxels.copy()
    changed[3, 3, 3] = value
    return changed


# Twenty ways to be broken: what becomes of a good volume, and the suffix of the file.
BROKEN: dict[str, tuple[str, Callable[[Voxels], bytes]]] = {
    "truncated": (".nii.gz", lambda v: zipped(saved(v))[:900]),
    "empty": (".nii", lambda v: b""),
    "empty-gzip": (".nii.gz", lambda v: zipped(b"")),
    "text": (".nii.gz", lambda v: zipped(b"dear colleague, " * 60)),
    "not-gzip": (".nii.gz", saved),
    "damaged": (".nii.gz", lambda v: (c := zipped(saved(v)))[:600] + bytes(30) + c[630:]),
    "checksum": (".nii.gz", lambda v: zipped(saved(v))[:-8] + bytes(8)),
    "picture": (".nii.gz", lambda v: b"\x89PNG\r\n\x1a\n" + bytes(500)),
    "header-only": (".nii", lambda v: saved(v)[:352]),
    "half": (".nii", lambda v: saved(v)[: 352 + v.nbytes // 2]),
    "nan": (".nii.gz", lambda v: zipped(saved(with_one(v, np.nan)))),
    "infinite": (".nii.gz", lambda v: zipped(saved(with_one(v, np.inf)))),
    "complex": (".nii.gz", lambda v: zipped(saved(v.astype(np.complex64)))),
    "slice": (".nii.gz", lambda v: zipped(saved(v[:, :, :1]))),
    "vectors": (".nii.gz", lambda v: zipped(saved(np.stack([v, v], -1)[:, :, :, None]))),
    "metres": (".nii.gz", lambda v: zipped(saved(v, np.diag([400.0, 400.0, 400.0, 1.0])))),
    "specks": (".nii.gz", lambda v: zipped(saved(v, np.diag([1e-4, 1e-4, 1e-4, 1.0])))),
    "sheared": (".nii.gz", lambda v: zipped(saved(v, sheared()))),
    "no-size": (".nii.gz", lambda v: zipped(patched(v, pixdim=np.zeros(8), sform_code=0, qform_code=0))),
    "endless": (".nii.gz", lambda v: zipped(patched(v, dim=[3, 30000, 30000, 30000, 1, 1, 1, 1]))),
}


def write_archive(folder: Path, *, volumes: int, side: int, seed: int) -> int:
    """Volumes in folders of a hundred, each twelfth or so broken; gives how many are."""
    rng = np.random.default_rng(seed)
    broken = [name for name in BROKEN for _ in range(max(1, round(volumes * 0.08 / len(BROKEN))))]
    places = dict(zip(rng.permutation(volumes)[: len(broken)].tolist(), broken, strict=True))
    for number in range(volumes):
        place = folder / f"ward-{number // 100}"
        place.mkdir(parents=True, exist_ok=True)
        shape = (side, side, side + number % 4)
        voxels = rng.normal(size=shape).astype(np.float32)
        suffix, make = BROKEN[places[number]] if number in places else (".nii.gz", lambda v: zipped(saved(v)))
        (place / f"scan-{number:04d}{suffix}").write_bytes(make(voxels))
    return len(broken)


def start(*words: object) -> subprocess.Popen[bytes]:
    """`hilum WORD...` in a process of its own."""
    command = [sys.executable, "-m", "hilum", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finish(*words: object, code: int) -> float:
    """Run a command to its end; gives the seconds. Raises RuntimeError for another exit code."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "hilum", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != code:
        raise RuntimeError(f"exit code {done.returncode}, expected {code}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return time.monotonic() - begun


def entries(out: Path) -> list[dict[str, Any]]:
    """The lines of the journals of all parts; the last one of each may not be whole yet."""
    journals = sorted((out / ".hilum").glob("*-of-*.jsonl"))
    lines = [line for journal in journals for line in journal.read_text(errors="replace").split("\n")[:-1]]
    return [json.loads(line) for line in lines if line.endswith("}")]


def finished(out: Path) -> list[str]:
    """The outputs that the journals call finished, as often as they do."""
    return [entry["row"]["output"] for entry in entries(out) if "row" in entry]


def in_hand(out: Path, *, since: int) -> set[str]:
    """The cases that were begun after so many lines and have not ended, be it by being finished."""
    open_cases: set[str] = set()
    for entry in entries(out)[since:]:
        if "begun" in entry:
            open_cases.add(entry["begun"])
        else:
            open_cases.discard(entry["ended"] if "ended" in entry else entry["row"]["case_id"])
    return open_cases


def place_of(file: Path) -> Place:
    """What changes whenever a file is written anew."""
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns


def table(file: Path) -> list[dict[str, str]]:
    """A table without what a clock says."""
    with file.open(newline="") as stream:
        return [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(stream)]


def wait_for(process: subprocess.Popen[bytes], out: Path, *, num_finished: int, num_lines: int) -> None:
    """Wait until the journal has so many finished cases and so many lines, or the process has ended."""
    journal, seen = out / ".hilum" / "1-of-1.jsonl", -1
    while process.poll() is None:
        size = journal.stat().st_size if journal.exists() else 0
        if size != seen:
            seen, found = size, entries(out)
            if len(found) >= num_lines and sum("row" in entry for entry in found) >= num_finished:
                return
        time.sleep(POLL_S)


def kill_often(words: list[object], out: Path, *, kills: int, good: int, case_s: float, seed: int) -> tuple[int, int]:
    """How many kills of a batch that is started again each time met it at work, and how many cases were redone.

    The instants are random in what is left to do, so that the batch outlives all of them: at least one case has been
    begun since the start, a random number of them finished, and the next is under way.
    """
    rng, known, redone, killed = random.Random(seed), dict[str, Place](), 0, 0
    for number in range(1, kills + 1):
        before, num_lines = len(finished(out)), len(entries(out))
        further = int(rng.uniform(0.0, REACH * (good - before) / (kills + 2 - number)))
        process = start(*words)
        wait_for(process, out, num_finished=before + further, num_lines=num_lines + 1)
        time.sleep(rng.uniform(0.0, case_s))
        at_work = process.poll() is None
        if at_work:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        held = in_hand(out, since=num_lines)
        killed += at_work and bool(held)
        for name in finished(out):
            place = place_of(out / name)
            redone += known.setdefault(name, place) != place
        print(
            f"{number:3d}  {'killed' if at_work else 'ended'} with {len(held)} in hand, {len(known):4d} finished, "
            f"{redone} redone",
            flush=True,
        )
    return killed, redone


def compare(out: Path, expected: Path) -> dict[str, bool]:
    """What has to be true of a batch that was killed, against one that ran through."""
    volumes = {file.name: file.read_bytes() for file in expected.glob("*.nii*")}
    done = finished(out)
    return {
        "outputs byte-identical": {file.name: file.read_bytes() for file in out.glob("*.nii*")} == volumes,
        "results.csv equal (but for seconds)": table(out / "results.csv") == table(expected / "results.csv"),
        "failures.csv equal": table(out / "failures.csv") == table(expected / "failures.csv"),
        "no temporary file left": not [file for file in out.rglob("*") if file.name.endswith(".part")],
        "each case finished once": len(done) == len(set(done)) == len(volumes),
    }


def divided(expected: Path, parts: int) -> dict[str, bool]:
    """What has to be true of a batch whose parts are predicted at once by as many processes; prints what each did."""
    out, begun = Path(f"parts-{parts}"), time.monotonic()
    processes = [start("predict", "runs/tiny", "archive", out, "--shard", f"{n}/{parts}") for n in range(1, parts + 1)]
    codes = [process.wait(TIMEOUT_S) for process in processes]
    sizes = [len(table(file)) for file in sorted((out / "shards").glob("*/results.csv"))]
    print(f"{parts} parts at once: {time.monotonic() - begun:.1f} s, {' + '.join(map(str, sizes))} predicted")
    checks = compare(out, expected) | {"exit codes 0 and 3 alone": set(codes) <= {0, 3}}
    return {f"{parts} parts at once: {what}": holds for what, holds in checks.items()}


def main() -> int:
    """The benchmark; 0 where all is as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volumes", type=int, default=500)
    parser.add_argument("--side", type=int, default=24, help="voxels along an axis of a volume")
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--folder", type=Path, default=Path("runs/predict-kills"))
    arguments = parser.parse_args()
    shutil.rmtree(arguments.folder, ignore_errors=True)
    arguments.folder.mkdir(parents=True)
    os.chdir(arguments.folder)
    Path("tiny.yaml").write_text(CONFIG)
    finish("train", "tiny.yaml", code=0)
    broken = write_archive(Path("archive"), volumes=arguments.volumes, side=arguments.side, seed=arguments.seed)
    one = next(Path("archive").rglob("scan-*.nii.gz"))
    start_s = finish("predict", "runs/tiny", one, "warm-up", code=0 if one.stat().st_size > 2000 else 3)
    whole_s = finish("predict", "runs/tiny", "archive", "through", code=3)
    print(
        f"{arguments.volumes} volumes, {broken} broken: {whole_s:.1f} s undisturbed, {start_s:.1f} s of them to start"
    )
    words: list[object] = ["predict", "runs/tiny", "archive", "out"]
    killed, redone = kill_often(
        words,
        Path("out"),
        kills=arguments.kills,
        good=arguments.volumes - broken,
        case_s=(whole_s - start_s) / arguments.volumes,
        seed=arguments.seed,
    )
    before = {name: place_of(Path("out") / name) for name in finished(Path("out"))}
    rest_s = finish(*words, code=3)
    redone += sum(place_of(Path("out") / name) != place for name, place in before.items())
    good, failed = len(table(Path("out/results.csv"))), len(table(Path("out/failures.csv")))
    print(f"killed {killed} times at work, the rest in {rest_s:.1f} s: {good} predicted, {failed} failed")
    checks = compare(Path("out"), Path("through")) | {
        f"all {arguments.kills} kills while cases were in hand": killed == arguments.kills,
        "no finished case redone": redone == 0,
        f"{arguments.volumes - broken} predicted and {broken} failed": (good, failed)
        == (arguments.volumes - broken, broken),
    }
    for parts in PARTS:
        checks |= divided(Path("through"), parts)
    for what, holds in checks.items():
        print(f"{'yes' if holds else 'NO '}  {what}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
