"""Rung 1 against closed forms: numpy's least squares, and the line that the points were drawn on."""

from collections.abc import Callable

import numpy as np
import pytest

from hilum.pipeline.course.desk import Desk
from hilum.pipeline.course.line import brute_force, normal_equation, work

MakeDesk = Callable[..., Desk]


def points(seed: int = 0, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 2, 100)
    return x, 0.3 * x + 0.7 + rng.normal(0, noise, 100)


def test_the_normal_equation_is_the_least_squares_of_numpy() -> None:
    x, y = points()
    w, b = np.polynomial.Polynomial.fit(x, y, 1).convert().coef[::-1]
    found = normal_equation(x, y)
    assert (found.w, found.b) == pytest.approx((w, b), abs=1e-12)


def test_brute_force_finds_the_line_of_points_without_noise_and_never_beats_the_normal_equation() -> None:
    found = brute_force(*points(noise=0))
    assert (found.w, found.b) == pytest.approx((0.3, 0.7), abs=1e-9)
    assert found.error == pytest.approx(0, abs=1e-12)
    for seed in range(5):
        best, tried = normal_equation(*points(seed)), brute_force(*points(seed))
        assert tried.error >= best.error
        assert (tried.w, tried.b) == pytest.approx((best.w, best.b), abs=0.01)


def test_gradient_descent_finds_the_line_of_the_normal_equation(desk: MakeDesk) -> None:
    numbers = work(desk("01_line"))
    _, _, normal, descent = numbers.rows
    assert [float(cell) for cell in descent[1:3]] == pytest.approx([float(cell) for cell in normal[1:3]], abs=2e-4)


def test_gradient_descent_finds_the_true_line_where_there_is_no_noise(desk: MakeDesk) -> None:
    numbers = work(desk("01_line", "data.source.noise=0"))
    assert [float(cell) for cell in numbers.rows[-1][1:3]] == pytest.approx([0.3, 0.7], abs=2e-4)
