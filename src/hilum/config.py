"""Reads a configuration, applies `key=value` overrides, and finds all of its faults at once, each with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from hilum.errors import ConfigError, Fault
from hilum.settings import relaxed
from hilum.yaml_text import Document, Location, dotted, parse, plain

Model = TypeVar("Model", bound=BaseModel)

ROUNDS = 20
"""How often what is at fault is taken out so that later checks can go on."""


def read(file: Path | str, overrides: Sequence[str] = ()) -> Document:
    """The document in a YAML file, with `key.key=value` overrides applied.

    Raises ConfigError for a missing file, broken YAML, duplicate keys, tags, or malformed overrides.
    """
    document = inspect(file, overrides)
    if document.faults:
        raise ConfigError(document.faults)
    return document


def inspect(file: Path | str, overrides: Sequence[str] = ()) -> Document:
    """The document as far as it can be read; `faults` holds duplicate keys, tags and malformed overrides.

    Raises ConfigError where there is nothing to go on with: no file, no text, no YAML, no mapping.
    """
    file = Path(file)
    document = Document(file, {})
    content = parse(_text(file), document)
    document.places[()] = f"{file}:1"
    if content is None:
        raise ConfigError([Fault(f"{file}:1", "", "the file is empty, expected sections such as task, data, network")])
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a single value"
        message = f"received {kind} at the top level, expected sections such as task:, data:, network:"
        raise ConfigError([Fault(f"{file}:1", "", message)])
    document.data = content
    document.faults += [fault for text in overrides if (fault := _override(document, text)) is not None]
    return document


class Reading(Generic[Model]):
    """What a document says as far as it can be understood: the model, every fault, and where nothing is known.

    Without faults, `model` is complete. With faults, a default stands for each key at fault, and None for a required
    section: ask `knows` before using one. It is None where hardly anything could be understood.
    """

    def __init__(self, document: Document) -> None:
        self.model: Model | None = None
        self.document = document
        self.faults: list[Fault] = []
        self.unknown: list[Location] = []
        self._data = _copied(document.data)

    def knows(self, *locations: Location) -> bool:
        """Whether nothing at, in or around these locations (dotted in the file) was at fault."""
        return not any(_touch(spot, location) for spot in self.unknown for location in locations)

    def original(self, location: Location, *, missing: bool = False) -> Location:
        """Where in the file a location of the model stands, although list items at fault have been taken out.

        What pydantic puts between keys (the member of a union) is left out; the last key may be `missing`.
        """
        data, found = self._data, list[str | int]()
        for index, part in enumerate(location):
            if isinstance(data, _Items) and isinstance(part, int) and part < len(data):
                found.append(data.numbers[part])
                data = data[part]
            elif isinstance(data, dict) and part in data:
                found.append(part)
                data = data[part]
            elif index == len(location) - 1 and (missing or part == "kind"):
                found.append(part)  # the kind is missing, or the component stands there in its short form
        return tuple(found)

    def note(self, error: ValidationError, *, complete: bool) -> None:
        """Report what is new in pydantic's error, and take out what is at fault.

        `complete` says that required sections may still be missing; else what lacks a required key goes as a whole.
        """
        found: dict[Location, list[str]] = {}
        missing: set[Location] = set()
        for item in error.errors(include_url=False):
            lacking = item["type"] == "missing_key"
            location = self.original(item["loc"], missing=lacking)
            missing |= {location} if lacking else set()
            found.setdefault(location, []).append(item["msg"])
        for location in list(found):  # a union complains about the whole and about a part of it: the part says more
            if any(other[: len(location)] == location and other != location for other in found):
                del found[location]
        fresh = [location for location in found if self.knows(location)]
        self.faults += [
            self.document.fault(location, _either(found[location])) for location in fresh if any(found[location])
        ]
        for location in found:
            if location not in missing:
                self.unknown.append(location)
                self._remove(location)
            elif complete:
                self.unknown.append(location)
            else:
                self.unknown.append(location[:-1])
                self._remove(location[:-1])

    def parse(self, model: type[Model]) -> None:
        """Understand the document as a model."""
        try:
            self.model = model.model_validate(self._data)
        except ValidationError as error:
            self.note(error, complete=True)
        lenient = relaxed(model) if self.model is None else model
        for _ in range(ROUNDS if self.model is None else 0):
            try:
                self.model = lenient.model_validate(self._data)
                return
            except ValidationError as error:
                self.note(error, complete=False)

    def _remove(self, location: Location) -> None:
        """Take the key at fault out; a component without its kind goes as a whole."""
        if location and location[-1] == "kind":
            location = location[:-1]
        parent, key, data = None, location[0] if location else "", self._data
        for part in location:
            spot = _spot(data, part)
            if spot is None:
                break
            parent, key, data = data, spot, data[spot]
        if parent is not None:
            del parent[key]


def validate(document: Document, model: type[Model]) -> Reading[Model]:
    """What a document says, and every fault that the model finds in it."""
    reading = Reading[Model](document)
    reading.parse(model)
    return reading


class _Items(list[Any]):
    """A list that remembers the numbers of its items in the file when some of them are taken out."""

    def __init__(self, items: Sequence[Any]) -> None:
        super().__init__(items)
        self.numbers = list(range(len(items)))

    def __delitem__(self, index: Any) -> None:
        super().__delitem__(index)
        del self.numbers[index]


def _text(file: Path) -> str:
    if not file.is_file():
        kind = "a folder, expected a YAML file" if file.is_dir() else "no such file"
        raise ConfigError([Fault(str(file), "", kind)])
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{error.object[error.start]:02x} is not UTF-8: expected a YAML text file, saved as UTF-8"
        raise ConfigError([Fault(f"{file}:{line}", "", message)]) from error
    except OSError as error:
        raise ConfigError([Fault(str(file), "", f"cannot be read: {error.strerror}")]) from error


def _override(document: Document, text: str) -> Fault | None:
    key, equals, value = text.partition("=")
    key = key.strip()
    place = f"command line: {text}"
    if not equals or not all(key.split(".")):
        return Fault(place, "", "expected key=value, such as train.epochs=2")
    try:
        content = plain(value)
    except ConfigError as error:
        return Fault(place, key, error.faults[0].message)
    parts = key.split(".")
    target: Any = document.data
    location: Location = ()
    for depth, part in enumerate(parts):
        spot = int(part) if isinstance(target, list) and part.isdecimal() else part
        if isinstance(target, list) and not (isinstance(spot, int) and spot < len(target)):
            indices = f"an index from 0 to {len(target) - 1}" if target else "a whole list, since it is empty"
            return Fault(place, dotted((*location, part)), f"received '{part}', expected {indices}")
        location = (*location, spot)
        if depth == len(parts) - 1:
            target[spot] = content
            _replace_places(document, location, place)
            return None
        target = _opened(document, target, spot, location=location, following=parts[depth + 1], place=place)
    return None


def _opened(
    document: Document, target: Any, spot: Any, *, location: Location, following: str, place: str
) -> dict[str, Any] | list[Any]:
    """The mapping or list below a key, made where there is none.

    The short form `network: unet` opens up into {kind: unet}, and `metrics: dice` into a list where an index follows.
    """
    child: Any = target[spot] if isinstance(target, list) else target.get(spot)
    if isinstance(child, dict | list):
        return child
    document.places.setdefault(location, place)
    if child is not None and following.isdecimal():
        child = [child]
    else:
        child = {"kind": child} if isinstance(child, str) else {}
    target[spot] = child
    return child


def _replace_places(document: Document, location: Location, place: str) -> None:
    kept = {spot: line for spot, line in document.places.items() if spot[: len(location)] != location}
    document.places = {**kept, location: place}


def _either(messages: Sequence[str]) -> str:
    """One message of those that the members of a union gave for the same value."""
    if len(messages) == 1:
        return messages[0]
    unhinted = dict.fromkeys(message.removesuffix(": put it in quotes") for message in messages)
    parted = [message.partition(", expected ") for message in unhinted]
    if not all(separator for _, separator, _ in parted):
        return "; ".join(dict.fromkeys(messages))
    return f"{parted[0][0]}, expected {' or '.join(dict.fromkeys(expected for _, _, expected in parted))}"


def _touch(one: Location, other: Location) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _spot(data: Any, part: str | int) -> Any:
    """Where in the data, as they are now, the key or the numbered item of the file is; None where it is gone."""
    if isinstance(data, _Items):
        return data.numbers.index(part) if isinstance(part, int) and part in data.numbers else None
    return part if isinstance(data, Mapping) and part in data else None


def _copied(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _copied(value) for key, value in data.items()}
    return _Items([_copied(value) for value in data]) if isinstance(data, list) else data
