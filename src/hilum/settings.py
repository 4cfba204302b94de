"""The base of every section of the configuration: frozen, no unknown keys, faults in words a user can act on."""

import re
import types
from collections.abc import Container, Iterator, Mapping
from typing import Annotated, Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError, create_model, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from hilum.errors import nearest
from hilum.field_docs import field_docs

# What each of pydantic's errors expected.
EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping of settings",
    "path_type": "a path",
    "string_type": "text",
    "tuple_type": "a list",
}
OURS = ("hilum", "missing_key")
"""Types of errors that are in our words already. A missing key is told apart, because the reader goes on without it."""


class Settings(BaseModel):
    """A frozen section of the configuration that refuses unknown keys and names the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _explain_faults(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            model = handler(data)
        except ValidationError as error:
            items = error.errors(include_url=False)
            unknown = {str(item["loc"][-1]) for item in items if item["type"] == "extra_forbidden"}
            misspelt = {nearest(key, cls.model_fields) for key in unknown}
            details = [_explained(cls, item, misspelt=misspelt) for item in items]
            raise ValidationError.from_exception_data(error.title, details) from None
        coerced = list(_coerced(data, model.__dict__, ())) if isinstance(data, Mapping) else []
        if coerced:
            raise ValidationError.from_exception_data(cls.__name__, coerced)
        return model

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The schema with what is said of each field."""
        made = handler(schema)
        describe_fields(cls, handler.resolve_ref_schema(made))
        return made


def describe_fields(model: type[BaseModel], schema: dict[str, Any]) -> None:
    """Put what is said of each field of a model into its JSON schema, where that says nothing yet."""
    properties = schema.get("properties", {})
    for name, text in field_docs(model).items():
        if name in properties:
            properties[name].setdefault("description", text)


def relaxed(model: type[BaseModel]) -> type[Any]:
    """A twin of a model in which everything may be missing: None then, or an empty section where it has sections."""
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Settings) and "family" not in dir(section):
            twin = relaxed(section)
            fields[name] = (twin, Field(default_factory=twin))
        elif field.is_required():
            optional = Field(default=None, validate_default=False)
            fields[name] = (Annotated[section, *field.metadata, optional], None)
    return create_model(f"Partial{model.__name__}", __base__=model, **fields)


def received(value: Any) -> str:
    """A value in the words of YAML, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(list(value) if isinstance(value, list) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def at(location: tuple[str | int, ...], message: str, value: Any, *, kind: str = "hilum") -> InitErrorDetails:
    """An error in our words, at a location."""
    error = PydanticCustomError("missing_key" if kind == "missing_key" else "hilum", "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=location, input=value)


def _explained(cls: type[BaseModel], item: Any, *, misspelt: Container[str | None]) -> InitErrorDetails:
    """One pydantic error in hilum's words: what was received, what was expected, and the nearest name.

    A key that is missing only because it is misspelt gets no words of its own.
    """
    kind, location, value = item["type"], item["loc"], item["input"]
    if kind in OURS:
        return at(location, item["msg"], value, kind=kind)
    if kind == "extra_forbidden":
        return at(location, _unknown_key(cls, str(location[-1])), value)
    counted = "/".join(map(str, sorted(_lengths(cls, location)))).replace("/", " or ")
    if kind == "missing" and isinstance(location[-1], int):  # an item of a list of fixed length
        return at(location[:-1], f"received {received(value)}, expected a list of {counted} values", value)
    if kind == "missing":
        silent = len(location) == 1 and location[0] in misspelt
        message = "" if silent else f"is required and missing{_purpose(cls, location)}"
        return at(location, message, value, kind="missing_key")
    expected = EXPECTED.get(kind) or _expected(item, counted)
    hint = ": put it in quotes" if kind == "string_type" and isinstance(value, bool | int | float) else ""
    hint = ": remove the key to have the default" if value is None and not hint else hint
    return at(location, f"received {received(value)}, expected {expected}{hint}", value)


def _expected(item: Any, counted: str) -> str:
    kind, context, message = item["type"], item.get("ctx", {}), str(item["msg"])
    if kind in ("too_short", "too_long"):
        least = context.get("min_length") if kind == "too_short" else context.get("max_length")
        word = "at least" if kind == "too_short" else "at most"
        return f"a list of {counted} values" if counted else f"{word} {least} of them"
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", str(context["expected"]))
        close = nearest(str(item["input"]), names)
        return f"{context['expected']}" + (f"; did you mean '{close}'?" if close else "")
    for start in ("Input should be ", "Value error, ", "Assertion failed, "):
        message = message.removeprefix(start)
    return message


def _unknown_key(cls: type[BaseModel], key: str) -> str:
    known = list(cls.model_fields)
    close = nearest(key, known)
    hint = f"; did you mean '{close}'?" if close else ""
    return f"unknown key '{key}'{hint}" + (f" (known here: {', '.join(known)})" if known else " (takes no settings)")


def _purpose(cls: type[BaseModel], location: tuple[str | int, ...]) -> str:
    text = field_docs(cls).get(str(location[-1])) if len(location) == 1 else None
    return f": {text.splitlines()[0].rstrip('.')}" if text else ""


def _lengths(cls: type[BaseModel], location: tuple[str | int, ...]) -> set[int]:
    """The lengths that a field of one or several tuple types may have; none where any number of items is right."""
    field = cls.model_fields.get(str(location[0])) if location else None
    members = [field.annotation] if field else []
    if members and get_origin(members[0]) in (Union, types.UnionType):
        members = list(get_args(members[0]))
    return {len(get_args(one)) for one in members if get_origin(one) is tuple and Ellipsis not in get_args(one)}


def _coerced(given: Any, taken: Any, location: tuple[str | int, ...]) -> Iterator[InitErrorDetails]:
    """Numbers made of true or of quoted text, which pydantic lets pass: the wrong type is a mistake."""
    if isinstance(given, Mapping) and isinstance(taken, Mapping):
        for key in given:
            if key in taken:
                yield from _coerced(given[key], taken[key], (*location, key))
    elif isinstance(given, list | tuple) and isinstance(taken, list | tuple) and len(given) == len(taken):
        for index, (one, other) in enumerate(zip(given, taken, strict=True)):
            yield from _coerced(one, other, (*location, index))
    elif isinstance(given, int | float | str) and not isinstance(given, bool) and isinstance(taken, bool):
        text = "the text " if isinstance(given, str) else ""
        yield at(location, f"received {text}{received(given)}, expected true or false", given)
    elif isinstance(given, str) and isinstance(taken, int | float):
        yield at(location, f"received the text {received(given)}, expected a number: remove the quotes", given)
    elif isinstance(given, bool) and isinstance(taken, int | float) and not isinstance(taken, bool):
        yield at(location, f"received {received(given)}, expected a number", given)
