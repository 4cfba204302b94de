"""Writes docs/reference.md: every section, family, kind and key of the configuration, from the registry itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hilum.experiment import Experiment
from hilum.field_docs import field_docs
from hilum.registry import FAMILIES, Component, kinds
from hilum.settings import Settings

REFERENCE = Path(__file__).parents[1] / "docs" / "reference.md"

HEAD = """\
# Reference: every key of the configuration

Written by `make docs` from the code; do not edit it by hand. `hilum list FAMILY KIND` shows the same on the terminal,
and `hilum schema -o hilum.schema.json` gives it to an editor. [Configuration](configuration.md) explains the ideas.

A setting that names a family takes one of its kinds, in full (`{kind: unet, residual: true}`) or, where nothing is
required, in short (`unet`). *required* means that there is no default.
"""

FAMILY_TITLES = {
    "tasks": "`task`",
    "sources": "`data.source`",
    "splits": "`data.split`",
    "prepare": "`data.prepare`, a list",
    "augment": "`data.augment`, a list",
    "filters": "`by` of the kind `filter` in `data.prepare` and `data.augment`",
    "networks": "`network`",
    "losses": "`loss`",
    "metrics": "`metrics`, a list",
    "postprocess": "`predict.postprocess`, a list, or `auto`",
    "operating_points": "`decide.operating_point`",
    "aggregates": "`decide.patient.aggregate`",
    "optimizers": "`optimizer`",
    "schedules": "`schedule`",
}
BOUNDS = {
    "exclusiveMinimum": "above {}",
    "minimum": "at least {}",
    "exclusiveMaximum": "below {}",
    "maximum": "at most {}",
    "minItems": "at least {} of them",
}
WORDS = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}


def reference() -> str:
    """The whole page; plugins that happen to be loaded are left out."""
    parts = [HEAD, "## Sections", *_sections(Experiment, "")]
    for family in FAMILIES:
        parts.append(f"## {family.capitalize()}\n\nTaken by {FAMILY_TITLES[family]}.")
        own = [member for member in kinds(family).values() if member.__module__.startswith("hilum.")]
        parts += [f"### {family}: {member.kind}\n\n{_docstring(member)}\n\n{_table(member)}" for member in own]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _sections(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """A heading and a table for a section and for every section within it."""
    title = f"`{prefix.rstrip('.')}`" if prefix else "Top level"
    yield f"### {title}\n\n{_docstring(model)}\n\n{_table(model)}"
    for name, field in model.model_fields.items():
        section = _within(field, Settings)
        if section is not None and not issubclass(section, Component):
            yield from _sections(section, f"{prefix}{name}.")


def _docstring(model: type[BaseModel]) -> str:
    lines = [line.strip() for line in (model.__doc__ or "").strip().splitlines()]
    return "\n".join(lines)


def _table(model: type[BaseModel]) -> str:
    if not model.model_fields:
        return "No settings."
    schema = model.model_json_schema()
    rows = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        takes = _takes(field, schema["properties"][name], schema.get("$defs", {}))
        meaning = " ".join(field_docs(model).get(name, "").split())
        cells = [f"`{name}`", takes, _default(field), meaning]
        rows.append("| " + " | ".join(cell.replace("|", "&#124;") for cell in cells) + " |")
    return "\n".join(rows)


def _takes(field: FieldInfo, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a key may hold, in words; components and sections as links to where they stand."""
    component = _within(field, Component)
    if component is not None:
        link = f"[{component.family}](#{component.family})"
        return f"list of {link}" if "tuple" in str(field.annotation) else f"one of {link}"
    section = _within(field, Settings)
    if section is not None:
        return "a section of its own: " + ", ".join(f"`{key}`" for key in section.model_fields)
    return _described(schema, definitions)


def _described(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON Schema in words."""
    if "$ref" in schema:
        return _described(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_described(option, definitions) for option in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    bounds = [text.format(f"{schema[key]:g}") for key, text in BOUNDS.items() if key in schema]
    if schema.get("type") == "array":
        return _list(schema, definitions, bounds)
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"mapping from name to {_described(inner, definitions)}" if isinstance(inner, dict) else "mapping"
    word = "path" if schema.get("format") == "path" else WORDS.get(schema.get("type", ""), "anything")
    return " ".join([word, *bounds[:1]]) + "".join(f" and {bound}" for bound in bounds[1:])


def _list(schema: Mapping[str, Any], definitions: Mapping[str, Any], bounds: list[str]) -> str:
    items = schema.get("prefixItems")
    if items:
        each = dict.fromkeys(_described(item, definitions) for item in items)
        return f"list of {len(items)}: {', '.join(each)}"
    length = f" ({bounds[0]})" if bounds else ""
    return f"list of: {_described(schema.get('items', {}), definitions)}{length}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Settings):
        return "its own defaults"
    return f"`{json.dumps(value, default=str)}`"


def _within(field: FieldInfo, root: type[Settings]) -> type[Any] | None:
    """The first class below `root` in a field's annotation, however deep it stands."""
    pending: list[Any] = [field.annotation]
    while pending:
        one = pending.pop(0)
        if isinstance(one, type) and issubclass(one, root):
            return one
        pending += get_args(one)
    return None


def main() -> int:
    """Write the page; with `--check`, only compare it (1 where it is out of date)."""
    text = reference()
    if "--check" in sys.argv[1:]:
        fresh = REFERENCE.read_text(encoding="utf-8") == text
        print(f"{REFERENCE.name} is {'up to date' if fresh else 'out of date: run `make docs`'}")
        return 0 if fresh else 1
    REFERENCE.write_text(text, encoding="utf-8")
    print(f"wrote {REFERENCE.relative_to(REFERENCE.parents[1])}, {len(text.splitlines())} lines")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
