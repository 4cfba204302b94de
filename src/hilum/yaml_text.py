"""YAML 1.2 text to plain data that knows the line of every key, and plain data back to text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hilum.errors import ConfigError, Fault

Location = tuple[str | int, ...]

MAX_DEPTH = 40
"""Levels of nesting: far more than a configuration needs, far fewer than would exhaust the interpreter's stack."""
MAX_VALUES = 100_000
"""Values after aliases have been filled in, so that a small file cannot expand until memory is full."""

# YAML 1.2 core scalars, but an integer never starts with a zero: ids such as 001 stay text.
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,99})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}

# What PyYAML says, and what most often lies behind it.
_HINTS = {
    "cannot start any token": "text that starts with this character needs quotes, and lines are indented with spaces",
    "mapping values are not allowed": "look at the indentation, and quote text that holds ': '",
    "expected <block end>": "look at the indentation of this line and the one above",
    "could not find expected ':'": "every line of a mapping is 'key: value'",
    "unexpected end of stream": "a quote or bracket is not closed",
    "but got '<stream end>'": "a bracket is not closed",
    "but found another document": "a configuration is one document: remove the line '---'",
    "found undefined alias": "define it with '&name' above; text that starts with '*' needs quotes",
}


@dataclass
class Document:
    """A configuration as plain data, the place that each key was read from, and what was wrong with the text."""

    file: Path
    data: dict[str, Any]
    places: dict[Location, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def where(self, location: Location) -> str:
        """The place `file:line` (or the override) of a key, or of the nearest key above it."""
        for length in range(len(location), -1, -1):
            place = self.places.get(location[:length])
            if place is not None:
                return place
        return f"{self.file}:1"

    def fault(self, location: Location, message: str) -> Fault:
        """A fault of the key at a location."""
        return Fault(self.where(location), dotted(location), message)


def parse(text: str, document: Document) -> Any:
    """The plain data that YAML text stands for; places and the faults of single keys go into the document.

    Raises ConfigError where the text is not YAML at all.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return None if node is None else _Builder(document, loader.tags).build(node, ())
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"broken YAML: the character U+{int(error.character):04X} is not allowed in a text file"
        raise ConfigError([Fault(f"{document.file}:{line}", "", message)]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError([Fault(f"{document.file}:{line}", "", f"broken YAML: {_broken(error, text)}")]) from error
    finally:
        if loader is not None:
            loader.dispose()


def plain(text: str) -> Any:
    """The data that one scalar or flow collection of YAML stands for, as written after `key=`.

    Raises ConfigError for broken YAML, tags and duplicate keys.
    """
    document = Document(Path("override"), {})
    content = parse(text, document)
    if document.faults:
        raise ConfigError(document.faults)
    return content


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


def dump(data: Mapping[str, Any]) -> str:
    """YAML text that reads back as the same data: text that looks like something else is quoted."""
    return yaml.dump(
        dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None
    )


class _Loader(yaml.SafeLoader):
    """Composes nodes (nothing is constructed), notes the tags that are written out, and stops at a great depth."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.tags: dict[int, str] = {}
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        tag = None if isinstance(event, yaml.AliasEvent) else getattr(event, "tag", None)
        if tag is not None:
            self.tags[id(node)] = tag
        return node


class _Builder:
    """Builds plain data from YAML nodes and notes the place of each key and each fault."""

    def __init__(self, document: Document, tags: Mapping[int, str]) -> None:
        self.document = document
        self.tags = tags
        self.values = 0
        self.merging = 0

    def build(self, node: yaml.Node, location: Location) -> Any:
        self.values += 1
        if self.values > MAX_VALUES or len(location) > MAX_DEPTH:
            limit = f"{MAX_VALUES} values" if self.values > MAX_VALUES else f"{MAX_DEPTH} levels"
            raise yaml.MarkedYAMLError(problem=f"aliases expand to more than {limit}", problem_mark=node.start_mark)
        self.document.places.setdefault(location, self.place(node))
        if id(node) in self.tags:
            tag = self.tags[id(node)].replace("tag:yaml.org,2002:", "!!")
            self.fault(
                node, location, f"received the tag {tag}; tags are refused, since YAML never runs code: remove it"
            )
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*location, index)) for index, item in enumerate(node.value)]
        return scalar(node.value) if isinstance(node, yaml.ScalarNode) and node.style is None else node.value

    def mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        built: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        first: dict[str, str] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.fault(key_node, location, "received a list or mapping as a key, expected text")
                continue
            key = key_node.value
            if key == "<<" and key_node.style is None:
                merged.append(value_node)
                continue
            if key in built:
                message = f"duplicate key; the first stands at {first[key]}: remove one of them"
                self.fault(key_node, (*location, key), message)
                continue
            first[key] = self.place(key_node)
            self.document.places[(*location, key)] = first[key]
            built[key] = self.build(value_node, (*location, key))
        for value_node in merged:
            self.merge(built, value_node, location)
        return built

    def merge(self, built: dict[str, Any], node: yaml.Node, location: Location) -> None:
        """Add the keys of `<<: *anchor` (or of a list of anchors) that are not there yet, as YAML 1.1 does."""
        self.merging += 1
        if self.merging > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="'<<' merges a mapping into itself", problem_mark=node.start_mark)
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                self.fault(source, location, "received '<<' with a value, expected a mapping such as <<: *anchor")
                continue
            places = self.document.places
            self.document.places = {}
            content = self.mapping(source, location)
            fresh, self.document.places = self.document.places, places
            for key, value in content.items():
                if key not in built:
                    built[key] = value
                    spot = (*location, key)
                    places.update({at: place for at, place in fresh.items() if at[: len(spot)] == spot})
        self.merging -= 1

    def place(self, node: yaml.Node) -> str:
        return f"{self.document.file}:{node.start_mark.line + 1}"

    def fault(self, node: yaml.Node, location: Location, message: str) -> None:
        fault = Fault(self.place(node), dotted(location), message)
        if fault not in self.document.faults:
            self.document.faults.append(fault)


class _Dumper(yaml.SafeDumper):
    """Writes text so that YAML 1.1 readers and ours agree on it, and every value out in full."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain_enough = isinstance(scalar(text), str) and not any(mark in text for mark in "\x85\u2028\u2029")
    style = None if plain_enough else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _broken(error: yaml.MarkedYAMLError, text: str) -> str:
    said = " ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or "character '\\t'" in said:
        return f"{said}: the line holds a tab, lines are indented with spaces"
    return said + "".join(_hints(said))


def _hints(said: str) -> Iterator[str]:
    yield from (f": {hint}" for start, hint in _HINTS.items() if start in said)
