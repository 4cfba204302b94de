"""The JSON Schema: well-formed, complete, describing every field, and of one mind with the reader of configurations."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hilum.experiment import Experiment
from hilum.registry import FAMILIES, kinds
from hilum.yaml_text import plain

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}
# Every keyword that the schema uses: what is not here has to be added below before it can be relied on.
KEYWORDS = {
    *("$defs", "$ref", "additionalProperties", "anyOf", "const", "default", "description", "enum", "format", "items"),
    *("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "maxItems", "minItems", "minLength", "prefixItems"),
    *("minProperties", "multipleOf", "properties", "required", "title", "type"),
}


@cache
def schema() -> dict[str, Any]:
    return Experiment.model_json_schema()


def nodes(node: dict[str, Any], path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema within a schema."""
    yield path, node
    for key in ("properties", "$defs"):
        for name, inner in node.get(key, {}).items():
            yield from nodes(inner, f"{path}/{key}/{name}")
    for key in ("anyOf", "prefixItems"):
        for index, inner in enumerate(node.get(key, [])):
            yield from nodes(inner, f"{path}/{key}/{index}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key], f"{path}/{key}")


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    return schema()["$defs"][node["$ref"].removeprefix("#/$defs/")] if "$ref" in node else {}


def accepts(node: dict[str, Any], value: Any) -> bool:
    """Whether a value satisfies a schema, by the rules of draft 2020-12 for the keywords above."""
    checks = [
        "$ref" not in node or accepts(resolved(node), value),
        "anyOf" not in node or any(accepts(one, value) for one in node["anyOf"]),
        "const" not in node or node["const"] == value,
        "enum" not in node or value in node["enum"],
        "type" not in node or _is(node["type"], value),
        not isinstance(value, str) or len(value) >= node.get("minLength", 0),
    ]
    if isinstance(value, dict):
        known, rest = node.get("properties", {}), node.get("additionalProperties", True)
        checks += [set(node.get("required", [])) <= set(value), len(value) >= node.get("minProperties", 0)]
        checks += [accepts(known[key], item) for key, item in value.items() if key in known]
        extra = [item for key, item in value.items() if key not in known]
        checks += [rest if isinstance(rest, bool) else accepts(rest, item) for item in extra]
    if isinstance(value, list):
        first = node.get("prefixItems", [])
        checks += [node.get("minItems", 0) <= len(value) <= node.get("maxItems", len(value))]
        checks += [accepts(one, item) for one, item in zip(first, value, strict=False)]
        checks += [accepts(node["items"], item) for item in value[len(first) :] if "items" in node]
    if isinstance(value, int | float) and not isinstance(value, bool):
        checks += [value >= node.get("minimum", value), value <= node.get("maximum", value)]
        checks += [value > node.get("exclusiveMinimum", value - 1), value < node.get("exclusiveMaximum", value + 1)]
        checks += ["multipleOf" not in node or value % node["multipleOf"] == 0]
    return all(checks)


def _is(name: str, value: Any) -> bool:
    if isinstance(value, bool) and name != "boolean":
        return False
    return isinstance(value, TYPES[name]) or (name == "integer" and isinstance(value, float) and value.is_integer())


def test_the_schema_is_well_formed() -> None:
    for path, node in nodes(schema()):
        assert set(node) <= KEYWORDS, path
        assert node.get("type", "object") in TYPES, path
        assert "enum" not in node or (node["enum"] and len(set(map(str, node["enum"]))) == len(node["enum"])), path
        assert "anyOf" not in node or node["anyOf"], path
        assert set(node.get("required", [])) <= set(node.get("properties", {})), path
        assert "$ref" not in node or resolved(node), path
    assert json.loads(json.dumps(schema(), allow_nan=False)) == schema()


def test_every_field_has_a_description() -> None:
    for path, node in nodes(schema()):
        for name, field in node.get("properties", {}).items():
            assert field.get("description") or resolved(field).get("description"), f"{path}/{name}"


def test_sections_and_components_take_no_unknown_key() -> None:
    for path, node in nodes(schema()):
        if "properties" in node:
            assert node["additionalProperties"] is False, path


def test_every_kind_is_in_the_schema() -> None:
    text = json.dumps(schema())
    for family in FAMILIES:
        for kind in kinds(family):
            assert re.search(rf'"const": "{kind}"', text), kind


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_shipped_configurations_satisfy_the_schema(file: Path) -> None:
    assert accepts(schema(), plain(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        ("network", "unet", True),
        ("network", {"kind": "unet", "channels": [4, 8]}, True),
        ("network", "unett", False),
        ("network", {"kind": "unet", "chanels": [4, 8]}, False),
        ("network", {"channels": [4, 8]}, False),
        ("task", "segmentation", False),
        ("task", {"kind": "segmentation", "classes": ["a", "b"]}, True),
        ("task", {"kind": "segmentation", "regions": {"a": [1, 2], "b": 2}, "ignore": 255}, True),
        ("task", {"kind": "segmentation", "classes": {"a": 0.5}}, False),
        ("metrics", "dice", True),
        ("metrics", ["dice", {"kind": "nsd", "tolerance_mm": 2}], True),
        ("metrics", ["dise"], False),
        ("predict", {"postprocess": [{"kind": "fill_holes", "of": "organ"}]}, True),
        ("predict", {"postprocess": [{"kind": "fill_holes", "of": ["organ", "lesion"]}]}, False),
        ("train", {"epochs": 0}, False),
        ("train", {"epochs": "3"}, False),
        ("train", {"epochs": True}, False),
        ("runtime", {"device": "gpu"}, False),
        ("unknown", 3, False),
    ],
)
def test_the_schema_and_the_reader_agree(key: str, value: Any, fits: bool) -> None:
    demo = plain((CONFIGS[0].parent / "demo.yaml").read_text(encoding="utf-8"))
    data = {**demo, key: value}
    assert accepts(schema(), data) is fits
    if not fits:
        with pytest.raises(ValueError, match=r"received|unknown key|required"):
            Experiment.model_validate(data)
    else:
        Experiment.model_validate(data)
