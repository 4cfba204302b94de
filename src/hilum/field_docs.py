"""The docstrings under the fields of settings, read from the source once somebody asks, not at every start."""

import ast
import functools
import inspect
import itertools
import sys
from collections.abc import Iterator, Mapping

from pydantic import BaseModel


@functools.cache
def field_docs(model: type[BaseModel]) -> Mapping[str, str]:
    """What is said of each field of a model, its own words before those of the classes that it comes from.

    A field whose description was given as such keeps that; without source, as in an interactive session, nothing is
    said. pydantic's `use_attribute_docstrings` finds the same, but looks for the source of every class that is made:
    two seconds of each start of the program.
    """
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if issubclass(cls, BaseModel) and cls is not BaseModel:
            found |= _module_docs(cls.__module__).get(cls.__qualname__, {})
    given = {name: field.description for name, field in model.model_fields.items() if field.description}
    return {name: text for name, text in (found | given).items() if name in model.model_fields}


@functools.cache
def _module_docs(module: str) -> Mapping[str, Mapping[str, str]]:
    """The docstrings of annotated names, by the qualified name of their class."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):
        return {}
    return dict(_class_docs(tree, ""))


def _class_docs(node: ast.AST, prefix: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield prefix + child.name, dict(_documented(child))
            yield from _class_docs(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _class_docs(child, f"{prefix}{child.name}.<locals>.")
        else:
            yield from _class_docs(child, prefix)


def _documented(cls: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, later in itertools.pairwise(cls.body):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if isinstance(later, ast.Expr) and isinstance(later.value, ast.Constant) and isinstance(later.value.value, str):
            yield statement.target.id, inspect.cleandoc(later.value.value)
