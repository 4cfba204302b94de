"""The open registry: components are chosen in YAML by `kind`, checked by pydantic, and found by importing their package."""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from hilum.errors import PluginError, nearest

# Where the kinds of each family live: importing these modules fills the registry.
FAMILIES: dict[str, str] = {
    "tasks": "hilum.tasks",
    "sources": "hilum.sources",
    "splits": "hilum.data.splits",
    "prepare": "hilum.prepare",
    "augment": "hilum.augment",
    "networks": "hilum.networks",
    "losses": "hilum.losses",
    "metrics": "hilum.metrics",
    "optimizers": "hilum.optim",
    "schedules": "hilum.optim",
}
# pydantic's error types that the reader of a configuration tells apart, and ours, which are passed on unchanged.
EXPLAINED = {
    "extra_forbidden": "unknown_key",
    "unknown_key": "unknown_key",
    "missing": "missing_key",
    "missing_key": "missing_key",
    "hilum": "hilum",
}
_REGISTRY: dict[str, dict[str, type["Component"]]] = {family: {} for family in FAMILIES}


class Settings(BaseModel):
    """A frozen section of the configuration that refuses unknown keys and names the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)

    @model_validator(mode="wrap")
    @classmethod
    def _explain_unknown_keys(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            details = [_explained(cls, item) for item in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(error.title, details) from None


class Component(Settings):
    """What a YAML file selects by `kind`. A family root names its family, everything below it names its kind."""

    family: ClassVar[str]
    kind: ClassVar[str] = ""

    def __init_subclass__(cls, family: str | None = None, kind: str | None = None, **rest: Any) -> None:
        """Name the family of a root, enter a kind into the registry."""
        super().__init_subclass__(**rest)
        if family is not None:
            cls.family = family
        if kind is not None:
            cls.kind = kind
            _enter(cls)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A root accepts any of its kinds; a kind is an ordinary model."""
        if "family" not in cls.__dict__:
            return handler(source)
        return core_schema.no_info_plain_validator_function(
            lambda value: parse(cls.family, value),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.model_dump(mode="json")),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Any kind of the family, in short or long form."""
        if "family" not in cls.__dict__:
            return handler(schema)
        members = kinds(cls.family)
        short = [
            name for name, member in members.items() if not any(f.is_required() for f in member.model_fields.values())
        ]
        return {"anyOf": [{"enum": short}, *(_kind_schema(member, handler) for member in members.values())]}

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: Any) -> dict[str, Any]:
        return {"kind": self.kind, **handler(self)} if self.kind else handler(self)


def parse(family: str, value: Any) -> Component:
    """The component that `value` (a kind, a mapping with a kind, or a component) describes.

    Raises a pydantic error whose location is the field at fault.
    """
    members = kinds(family)
    if isinstance(value, Component) and value.family == family:
        return value
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, dict):
        _raise_at((), f"received {_short(value)}, expected a mapping with a kind, one of {', '.join(members)}", value)
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in members:
        received = f"received kind '{kind}'" if kind is not None else "received no kind"
        close = nearest(str(kind), members) if kind is not None else None
        hint = f"; did you mean '{close}'?" if close else ""
        _raise_at(("kind",), f"{received}, expected one of {', '.join(members)}{hint}", kind)
    return members[str(kind)].model_validate({key: item for key, item in value.items() if key != "kind"})


def kinds(family: str) -> dict[str, type[Component]]:
    """Every kind of a family by its name, sorted; imports the family's modules."""
    package = importlib.import_module(FAMILIES[family])
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_REGISTRY[family].items()))


def summary(component: type[BaseModel]) -> str:
    """The first line of a component's docstring."""
    return (inspect.getdoc(component) or "").partition("\n")[0]


def load_plugin(file: Path) -> ModuleType:
    """Import a user's component file, so that its kinds are known.

    Raises PluginError where the file is missing or fails while being imported.
    """
    name = f"hilum_plugin_{file.stem}"
    loaded = sys.modules.get(name)
    if loaded is not None and Path(str(loaded.__file__)) == file.resolve():
        return loaded
    if not file.is_file():
        raise PluginError(f"plugin {file}: no such file (paths are relative to the YAML file)")
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None:
        raise PluginError(f"plugin {file}: expected a Python file ending in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except PluginError:
        raise
    except Exception as error:
        del sys.modules[name]
        raise PluginError(f"plugin {file}: {type(error).__name__} while importing it: {error}") from error
    return module


def _kind_schema(member: type[Component], handler: GetJsonSchemaHandler) -> dict[str, Any]:
    schema = handler(member.__pydantic_core_schema__)
    target = handler.resolve_ref_schema(schema)
    kind = {"const": member.kind, "description": summary(member)}
    target["properties"] = {"kind": kind, **target.get("properties", {})}
    target["required"] = ["kind", *(name for name in target.get("required", []) if name != "kind")]
    return schema


def _enter(cls: type[Component]) -> None:
    known = _REGISTRY[cls.family].get(cls.kind)
    if known is not None and _source_file(known) != _source_file(cls):
        raise PluginError(f"kind '{cls.kind}' of {cls.family} exists already ({known.__module__}): take another name")
    _REGISTRY[cls.family][cls.kind] = cls


def _source_file(cls: type) -> str:
    module = sys.modules.get(cls.__module__)
    return str(getattr(module, "__file__", cls.__module__))


def _raise_at(location: tuple[str | int, ...], message: str, received: Any) -> None:
    error = PydanticCustomError("hilum", "{message}", {"message": message})
    raise ValidationError.from_exception_data("hilum", [InitErrorDetails(type=error, loc=location, input=received)])


def _explained(cls: type[BaseModel], item: Any) -> InitErrorDetails:
    """One pydantic error in hilum's words: an unknown key names the nearest known one."""
    kind, location, message = item["type"], item["loc"], item["msg"]
    if kind == "extra_forbidden":
        known = list(cls.model_fields)
        close = nearest(str(location[-1]), known)
        message = f"unknown key '{location[-1]}'" + (f"; did you mean '{close}'?" if close else "")
        message += f" (known here: {', '.join(known)})" if known else " (takes no settings)"
    elif kind == "missing":
        message = "is required and missing"
    elif kind not in EXPLAINED:
        message = f"received {_short(item['input'])}, expected {_expectation(message)}"
    error = PydanticCustomError(EXPLAINED.get(kind, "hilum"), "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=location, input=item["input"])


def _expectation(message: str) -> str:
    for start in ("Input should be ", "Value error, ", "Assertion failed, "):
        message = message.removeprefix(start)
    return message


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
