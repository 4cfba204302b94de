"""Reads YAML 1.2 and keeps the line of every key, applies `key=value` overrides, and reports all faults with their place."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from hilum.errors import ConfigError, Fault

Location = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

# YAML 1.2 core scalars, but an integer never starts with a zero: ids such as 001 stay text.
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}


@dataclass
class Document:
    """A configuration as plain data, with the place that each key was read from."""

    file: Path
    data: dict[str, Any]
    places: dict[Location, str] = field(default_factory=dict)

    def where(self, location: Location) -> str:
        """The place `file:line` (or the override) of a key, or of the nearest key above it."""
        for length in range(len(location), -1, -1):
            place = self.places.get(location[:length])
            if place is not None:
                return place
        return str(self.file)


def read(file: Path, overrides: Sequence[str] = ()) -> Document:
    """The document in a YAML file, with `key.key=value` overrides applied.

    Raises ConfigError for a missing file, broken YAML, duplicate keys, tags, or a malformed override.
    """
    if not file.is_file():
        kind = "a folder, expected a YAML file" if file.is_dir() else "no such file"
        raise ConfigError([Fault(str(file), "", kind)])
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Fault(str(file), "", f"cannot be read as UTF-8 text: {error}")]) from error
    document = Document(file, {})
    reader = _Reader(document)
    content = reader.parse(text)
    if reader.faults:
        raise ConfigError(reader.faults)
    if not isinstance(content, dict):
        raise ConfigError(
            [Fault(f"{file}:1", "", f"expected a mapping of sections, received {type(content).__name__}")]
        )
    document.data = content
    faults = [fault for text in overrides if (fault := _override(document, text)) is not None]
    if faults:
        raise ConfigError(faults)
    return document


def validate(document: Document, model: type[Model]) -> tuple[Model | None, list[Fault], list[Location]]:
    """The model that a document describes as far as possible, every fault, and the locations that were at fault.

    Keys at fault are left out (their defaults stand in) so that later checks can go on and report their faults too; None where a
    required section is missing or at fault.
    """
    data, faults, removed = _copied(document.data), list[Fault](), list[Location]()
    for _ in range(8):
        try:
            return model.model_validate(data), faults, removed
        except ValidationError as error:
            found = error.errors(include_url=False)
        fresh = [item for item in found if item["loc"] not in removed]
        if not any(item["type"] != "missing_key" for item in fresh):
            faults += [_fault(document, item) for item in fresh if not _already_reported(item["loc"], removed)]
            return None, faults, removed
        faults += [_fault(document, item) for item in fresh if item["type"] != "missing_key"]
        for item in sorted(fresh, key=lambda item: _order(item["loc"]), reverse=True):
            if item["type"] != "missing_key":
                removed.append(item["loc"])
                _remove(data, item["loc"])
    return None, faults, removed


def plain(value: str) -> Any:
    """The data that one scalar or flow collection of YAML stands for, as written after `key=`."""
    document = Document(Path("override"), {})
    reader = _Reader(document)
    content = reader.parse(value)
    if reader.faults:
        raise ConfigError(reader.faults)
    return content


def dump(data: Mapping[str, Any]) -> str:
    """YAML text that `read` gives back as the same data: text that looks like something else is quoted."""
    return yaml.dump(
        dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None
    )


class _Reader:
    """Builds plain data from YAML nodes and notes the place of each key and each fault."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.faults: list[Fault] = []

    def parse(self, text: str) -> Any:
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            self.faults.append(
                Fault(f"{self.document.file}:{line}", "", f"broken YAML: {error.problem or error.context}")
            )
            return {}
        except yaml.YAMLError as error:
            self.faults.append(Fault(str(self.document.file), "", f"broken YAML: {error}"))
            return {}
        return {} if node is None else self.build(node, ())

    def build(self, node: yaml.Node, location: Location) -> Any:
        self.document.places.setdefault(location, self.place(node))
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
            self.fault(node, location, f"received the tag {node.tag}; tags are refused, YAML never runs code")
            return None
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*location, index)) for index, item in enumerate(node.value)]
        return scalar(node.value) if node.style is None else node.value

    def mapping(self, node: yaml.MappingNode, location: Location) -> dict[Any, Any]:
        built: dict[Any, Any] = {}
        first: dict[Any, str] = {}
        for key_node, value_node in node.value:
            key = (
                scalar(key_node.value)
                if isinstance(key_node, yaml.ScalarNode) and key_node.style is None
                else key_node.value
            )
            if not isinstance(key, str):
                key = key_node.value if isinstance(key_node, yaml.ScalarNode) else str(key)
            if key in built:
                self.fault(
                    key_node, (*location, key), f"duplicate key; the first stands at {first[key]}: remove one of them"
                )
                continue
            first[key] = self.place(key_node)
            self.document.places[(*location, key)] = first[key]
            built[key] = self.build(value_node, (*location, key))
        return built

    def place(self, node: yaml.Node) -> str:
        return f"{self.document.file}:{node.start_mark.line + 1}"

    def fault(self, node: yaml.Node, location: Location, message: str) -> None:
        self.faults.append(Fault(self.place(node), dotted(location), message))


def scalar(text: str) -> Any:
    """What an unquoted scalar stands for: null, a bool, an integer, a float, or the text itself."""
    if _NULL.fullmatch(text):
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if text.lower() in _SPECIAL:
        return _SPECIAL[text.lower()]
    return float(text) if _FLOAT.fullmatch(text) else text


def dotted(location: Iterable[str | int]) -> str:
    """A location as the user writes it: data.prepare.1.mm."""
    return ".".join(str(part) for part in location)


def _override(document: Document, text: str) -> Fault | None:
    key, equals, value = text.partition("=")
    place = f"command line: {text}"
    if not equals or not key or not all(key.split(".")):
        return Fault(place, "", "expected key=value, such as train.epochs=2")
    try:
        content = plain(value)
    except ConfigError as error:
        return Fault(place, key, error.faults[0].message)
    location = tuple(key.split("."))
    target: Any = document.data
    for depth, part in enumerate(location):
        index = int(part) if isinstance(target, list) and _INT.fullmatch(part) else part
        if isinstance(target, list) and not (isinstance(index, int) and 0 <= index < len(target)):
            return Fault(
                place, dotted(location[: depth + 1]), f"expected an index from 0 to {len(target) - 1} into the list"
            )
        if depth == len(location) - 1:
            target[index] = content if value.strip() else None
            document.places = {
                spot: line for spot, line in document.places.items() if spot[: len(location)] != _typed(location)
            }
            document.places[_typed(location)] = place
            return None
        child = target[index] if isinstance(target, list) else target.get(index)
        if not isinstance(child, dict | list):
            # The short form `network: unet` opens up into {kind: unet} when one of its settings is given.
            child = {"kind": child} if isinstance(child, str) else {}
            target[index] = child
        target = child
    return None


def _typed(location: tuple[str, ...]) -> Location:
    return tuple(int(part) if _INT.fullmatch(part) else part for part in location)


def _fault(document: Document, item: Any) -> Fault:
    return Fault(document.where(item["loc"]), dotted(item["loc"]), item["msg"])


def _order(location: Location) -> tuple[tuple[int, int, str], ...]:
    return tuple((0, part, "") if isinstance(part, int) else (1, 0, part) for part in location)


def _already_reported(location: Location, removed: Sequence[Location]) -> bool:
    """Whether a missing key is missing only because a fault in it, below it or above it has been reported."""
    return any(spot[: len(location)] == location or location[: len(spot)] == spot for spot in removed)


def _remove(data: Any, location: Location) -> None:
    """Take the key at fault out; a component without its kind goes as a whole."""
    if location and location[-1] == "kind":
        location = location[:-1]
    for part in location[:-1]:
        if not (
            (isinstance(data, dict)
            and part in data)
            or (isinstance(data, list)
            and isinstance(part, int)
            and part < len(data))
        ):
            return
        data = data[part]
    if not location:
        return
    last = location[-1]
    if isinstance(data, dict):
        data.pop(last, None)
    elif isinstance(data, list) and isinstance(last, int) and last < len(data):
        del data[last]


def _copied(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _copied(value) for key, value in data.items()}
    return [_copied(value) for value in data] if isinstance(data, list) else data


class _Dumper(yaml.SafeDumper):
    """Writes text so that YAML 1.1 readers and ours agree on it."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if isinstance(scalar(text), str) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
