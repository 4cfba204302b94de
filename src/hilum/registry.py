"""The open registry: YAML chooses components by `kind`; importing the package of a family finds its kinds."""

import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, NoReturn

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, model_serializer
from pydantic_core import CoreSchema, core_schema

from hilum.errors import Fault, HilumError, PluginError, nearest
from hilum.settings import Settings, at, describe_fields, received
from hilum.yaml_text import Document

# Where the kinds of each family live: importing these modules fills the registry.
FAMILIES: dict[str, str] = {
    "tasks": "hilum.tasks",
    "sources": "hilum.sources",
    "splits": "hilum.data.splits",
    "prepare": "hilum.prepare",
    "augment": "hilum.augment",
    "filters": "hilum.filters",
    "networks": "hilum.networks",
    "losses": "hilum.losses",
    "metrics": "hilum.metrics",
    "postprocess": "hilum.inference.postprocess",
    "operating_points": "hilum.evaluation.operating_points",
    "aggregates": "hilum.evaluation.aggregates",
    "optimizers": "hilum.optim",
    "schedules": "hilum.optim",
}
PLUGIN = "hilum_plugin_"
"""What the module names of plugins start with."""
# The kind of a family whose section may be left out, or may name settings only.
DEFAULT_KINDS = {"optimizers": "adamw", "schedules": "cosine", "splits": "holdout"}
_REGISTRY: dict[str, dict[str, type["Component"]]] = {family: {} for family in FAMILIES}


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
            return super().__get_pydantic_json_schema__(schema, handler)
        members = kinds(cls.family).values()
        short = [member.kind for member in members if _complete_alone(member)]
        forms = [_kind_schema(member, handler) for member in members]
        return {"anyOf": [*([{"enum": short}] if short else []), *forms]}

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
    choice = ", ".join(members)
    if not isinstance(value, dict):
        _refuse((), f"received {received(value)}, expected a mapping with a kind, one of {choice}", value)
    kind = value.get("kind", DEFAULT_KINDS.get(family))
    if kind is None:
        _refuse(("kind",), f"is required and missing, expected one of {choice}", value)
    if not isinstance(kind, str) or kind not in members:
        close = nearest(str(kind), members)
        hint = f"; did you mean '{close}'?" if close else ""
        _refuse(("kind",), f"received {received(kind)}, expected one of {choice}{hint}", kind)
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
    if not file.is_file():
        raise PluginError(f"plugin {file}: no such file (paths are relative to the YAML file)")
    digest = hashlib.blake2b(str(file.resolve()).encode() + file.read_bytes(), digest_size=8).hexdigest()
    name = f"{PLUGIN}{file.stem}_{digest}"
    if name in sys.modules:
        _enter_again(sys.modules[name])
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None:
        raise PluginError(f"plugin {file}: expected a Python file ending in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        _forget(name)
        if isinstance(error, PluginError):
            raise
        raise PluginError(f"plugin {_line(file, error)}: {type(error).__name__} while importing it: {error}") from error
    return module


def load_plugins(document: Document) -> list[Fault]:
    """Import the component files that a YAML file lists; gives a fault for each one that fails or comes twice."""
    listed = document.data.get("plugins")
    faults: list[Fault] = []
    names: list[str] = []
    for index, plugin in enumerate(listed if isinstance(listed, list) else []):
        names.append(Path(str(plugin)).name)
        if names[-1] in names[:-1]:  # the run folder keeps them side by side
            faults.append(document.fault(("plugins", index), f"a second file named {names[-1]}: rename one of them"))
            continue
        try:
            load_plugin(document.file.parent / str(plugin))
        except HilumError as error:
            faults.append(document.fault(("plugins", index), str(error)))
    return faults


def _forget(module: str) -> None:
    """Take back what a plugin registered before it failed."""
    del sys.modules[module]
    for members in _REGISTRY.values():
        for kind in [kind for kind, member in members.items() if member.__module__ == module]:
            del members[kind]


def _line(file: Path, error: BaseException) -> str:
    """The plugin's file and the last of its lines that led to the error."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == file.resolve()]
    return f"{file}:{lines[-1]}" if lines else str(file)


def _complete_alone(member: type[Component]) -> bool:
    """Whether a kind needs no settings, so that its name may stand for it."""
    try:
        member()
    except ValidationError:
        return False
    return True


def _kind_schema(member: type[Component], handler: GetJsonSchemaHandler) -> dict[str, Any]:
    schema = handler(member.__pydantic_core_schema__)
    target = handler.resolve_ref_schema(schema)
    describe_fields(member, target)
    kind = {"const": member.kind, "description": summary(member)}
    target["properties"] = {"kind": kind, **target.get("properties", {})}
    given = [] if DEFAULT_KINDS.get(member.family) == member.kind else ["kind"]
    target["required"] = [*given, *(name for name in target.get("required", []) if name != "kind")]
    return schema


def _enter(cls: type[Component]) -> None:
    known = _REGISTRY[cls.family].get(cls.kind)
    if known is not None and _origin(known) != _origin(cls):
        raise PluginError(f"kind '{cls.kind}' of {cls.family} exists already ({known.__module__}): take another name")
    _REGISTRY[cls.family][cls.kind] = cls


def _enter_again(plugin: ModuleType) -> None:
    """Put back the kinds of a plugin: another version of it may have been loaded meanwhile."""
    for cls in vars(plugin).values():
        if isinstance(cls, type) and issubclass(cls, Component) and cls.kind and cls.__module__ == plugin.__name__:
            _enter(cls)


def _origin(cls: type) -> str:
    """The module of a kind; plugin files of one name count as versions of each other, such as a run's copy."""
    module = cls.__module__
    return module.rpartition("_")[0] if module.startswith(PLUGIN) else module


def _refuse(location: tuple[str | int, ...], message: str, value: Any) -> NoReturn:
    raise ValidationError.from_exception_data("hilum", [at(location, message, value)])
