"""`hilum list [FAMILY [KIND]]`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum.registry import Component


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("family", nargs="?", help="such as networks or losses; without it all families are shown")
    parser.add_argument("kind", nargs="?", help="such as unet; shows its settings")
    parser.add_argument(
        "--plugin", type=Path, action="append", default=[], help="a file of your own components, to be included"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the kinds of all families, of one, or the settings of one kind."""
    from hilum.errors import ConfigError, nearest
    from hilum.registry import FAMILIES, kinds, load_plugin

    for plugin in arguments.plugin:
        load_plugin(plugin)
    if arguments.family is None:
        for family in FAMILIES:
            _print_family(family)
        return 0
    if arguments.family not in FAMILIES:
        raise ConfigError(_unknown("family", arguments.family, FAMILIES, nearest(arguments.family, FAMILIES)))
    if arguments.kind is None:
        _print_family(arguments.family)
        return 0
    members = kinds(arguments.family)
    if arguments.kind not in members:
        raise ConfigError(_unknown("kind", arguments.kind, members, nearest(arguments.kind, members)))
    _print_kind(members[arguments.kind])
    return 0


def _print_family(family: str) -> None:
    from hilum.registry import kinds, summary

    members = kinds(family)
    width = max((len(kind) for kind in members), default=0)
    print(family)
    for kind, component in members.items():
        print(f"  {kind:<{width}}  {summary(component)}")


def _print_kind(component: type[Component]) -> None:
    import inspect

    from hilum.field_docs import field_docs

    print(f"{component.kind}: {inspect.getdoc(component)}\n")
    docs = field_docs(component)
    for name, field in component.model_fields.items():
        default = "required" if field.is_required() else f"default {field.default!r}"
        print(f"  {name} ({default})")
        for line in docs.get(name, "").splitlines():
            print(f"      {line.strip()}")


def _unknown(what: str, received: str, options: Iterable[str], close: str | None) -> str:
    hint = f"; did you mean '{close}'?" if close else ""
    return f"received the {what} '{received}', expected one of {', '.join(options)}{hint}"
