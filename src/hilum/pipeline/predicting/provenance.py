"""provenance.json of a batch: by what it was predicted, where and when, and whether all of it was."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.case import Case
from hilum.formats.atomic import write_whole
from hilum.hardware import machine
from hilum.pipeline.predicting.folder import OutputFolder, writing_to
from hilum.pipeline.predicting.networks import setup_sha256
from hilum.pipeline.predicting.shards import Shard
from hilum.pipeline.provenance import LIBRARIES
from hilum.run import now
from hilum.runtime import Runtime


@dataclass(frozen=True)
class Origin:
    """What one part of a batch is made of: `facts` are equal for all parts that belong together."""

    facts: Mapping[str, Any]
    shard: Shard
    sessions: tuple[Mapping[str, Any], ...] = ()
    complete: bool = False

    def write(self, output: OutputFolder) -> None:
        """Put it into the folder. Raises OutputError where that cannot be written."""
        content = {
            "complete": self.complete,
            "part": str(self.shard),
            **self.facts,
            "sessions": list(self.sessions),
        }
        with writing_to(output):
            write_whole(output.provenance, as_json(content))

    def ended(self, *, complete: bool, peak_gb: float, **counts: int) -> Origin:
        """The same, after the session that is going on has ended; `peak_gb` is the most memory that it took."""
        *before, session = self.sessions
        session = {**session, "ended": now(), "peak_memory_gb": peak_gb, **counts}
        return Origin(self.facts, self.shard, (*before, session), complete)


def begin(output: OutputFolder, facts: Mapping[str, Any], runtime: Runtime) -> Origin:
    """The origin of a part whose work begins now, after the earlier sessions of the same networks and settings."""
    before = read(output)
    parts = [session for sessions in before.get("parts", {}).values() for session in sessions]
    earlier = before.get("sessions", parts) if before.get("setup_sha256") == facts["setup_sha256"] else ()
    session = {
        "started": now(),
        "command": shlex.join(sys.argv),
        "working_folder": str(Path.cwd()),
        "machine": machine(),
        "device": str(runtime.device),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }
    return Origin(facts, output.shard, (*earlier, session))


def facts_of(source: Path, cases: Sequence[Case], setup: Mapping[str, Any]) -> dict[str, Any]:
    """What all parts of a batch share: where its images come from, which cases these are, and by what."""
    ids = json.dumps([[case.id, case.patient] for case in cases])
    return {
        "input": str(source),
        "cases": len(cases),
        "cases_sha256": hashlib.sha256(ids.encode()).hexdigest(),
        "setup_sha256": setup_sha256(setup),
        "setup": dict(setup),
    }


def read(output: OutputFolder) -> dict[str, Any]:
    """What the file of a part says; empty where there is none, or one that somebody else wrote."""
    try:
        content = json.loads(output.provenance.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def as_json(content: Mapping[str, Any]) -> bytes:
    """JSON as people read it."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
