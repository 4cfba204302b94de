"""What is said of the fields of settings: the same as pydantic finds, which is the oracle here."""

from typing import ClassVar

from pydantic import ConfigDict, Field

from hilum.field_docs import field_docs
from hilum.settings import Settings


class Outer(Settings):
    """Settings with words."""

    first: int = 1
    """How many.

        With an indented line.
    """
    silent: int = 2
    given: int = Field(default=3, description="Said as such.")
    """Said below."""
    twice: int = 4
    """Said by the base."""


class Inner(Outer):
    """Settings that go on from others."""

    twice: int = 5
    """Said anew."""
    FIRST: ClassVar[int] = 3
    """No field."""


def test_the_words_are_those_that_pydantic_finds() -> None:
    class Oracle(Outer):
        """The same settings, read by pydantic."""

        model_config = ConfigDict(use_attribute_docstrings=True)
        first: int = 1
        """How many.

            With an indented line.
        """
        twice: int = 4
        """Said by the base."""

    by_pydantic = {name: field.description for name, field in Oracle.model_fields.items() if field.description}
    assert field_docs(Outer) == by_pydantic
    assert field_docs(Oracle) == by_pydantic
    assert field_docs(Inner) == by_pydantic | {"twice": "Said anew."}


def test_the_schema_says_them_too() -> None:
    properties = Inner.model_json_schema()["properties"]
    assert {name: entry.get("description") for name, entry in properties.items()} == {
        **dict.fromkeys(Inner.model_fields),
        **field_docs(Inner),
    }
