"""Errors carry their exit code, and faults their place."""

import pytest

from hilum import errors
from hilum.errors import ConfigError, Fault, HilumError, TrainingError, nearest


def test_every_error_of_the_family_has_an_exit_code() -> None:
    family = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, HilumError)]
    assert {error.__name__: error.exit_code for error in family if error.exit_code != 2} == {
        "OutputError": 4,
        "TrainingError": 4,
    }
    assert issubclass(TrainingError, HilumError)


def test_a_configuration_error_is_one_line_a_fault() -> None:
    error = ConfigError([Fault("a.yaml:3", "train.epochs", "wrong"), Fault("a.yaml:4", "", "broken")])
    assert str(error) == "a.yaml:3: train.epochs: wrong\na.yaml:4: broken"
    assert ConfigError("one").faults[0].message == str(ConfigError("one")) == "one"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("epohcs", "epochs"),
        ("Epochs", "epochs"),
        ("EMA", "ema"),
        ("xyz", None),
        ("", None),
        ("batchsize", "batch_size"),
    ],
)
def test_the_nearest_name(word: str, expected: str | None) -> None:
    assert nearest(word, ["epochs", "batch_size", "ema"]) == expected
