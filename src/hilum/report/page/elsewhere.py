"""What the page of other data, or of the outputs of another tool, is made of: few of the files that a run has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hilum.report.page.files import RunFiles, read_files

OF_RUNS_ONLY = ("config.yaml is missing", "split.csv is missing", "log.jsonl is missing", "provenance.json is missing")
"""What such folders never hold."""


def read_external(folder: Path, run: Path) -> RunFiles:
    """The tables of other data in `folder`, with the settings, the origin and the ledger of the run that scored them.

    What the run says of its own data, its split and its learning is left out.
    """
    found, own = read_files(folder), read_files(run)
    unlike = [said for said in own.lacking if not said.startswith(("split.csv", "log.jsonl"))]
    return replace(
        found,
        config={**own.config, "name": f"{own.name} on {folder.name}"},
        config_text=own.config_text,
        provenance={key: value for key, value in own.provenance.items() if key != "notes"},
        looks=own.looks,
        lacking=(*_own(found), *unlike),
    )


def read_outputs(folder: Path, scoring: Mapping[str, Any], scoring_text: str) -> RunFiles:
    """The tables of outputs of another tool in `folder`; `scoring` are the settings that they were scored by."""
    found = read_files(folder)
    config = {**scoring, "name": folder.resolve().name}
    return replace(found, config=config, config_text=scoring_text, lacking=_own(found))


def _own(files: RunFiles) -> tuple[str, ...]:
    return tuple(said for said in files.lacking if not said.startswith(OF_RUNS_ONLY))
