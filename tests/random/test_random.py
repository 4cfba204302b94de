"""Draws are a pure function of seed, epoch, index and purpose."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.random import generator, torch_seed

keys = st.tuples(st.integers(0, 2**40), st.integers(0, 1000), st.integers(0, 10**6), st.text("ab./1", max_size=6))


@given(keys)
def test_the_same_key_draws_the_same(key: tuple[int, int, int, str]) -> None:
    generator(0, 0, 0, "other").random(7)
    assert (generator(*key).random(5) == generator(*key).random(5)).all()
    assert 0 <= torch_seed(*key) < 2**63


@given(keys, keys)
def test_another_key_draws_something_else(one: tuple[int, int, int, str], other: tuple[int, int, int, str]) -> None:
    same = one == other
    assert (torch_seed(*one) == torch_seed(*other)) is same
    assert bool((generator(*one).random(4) == generator(*other).random(4)).all()) is same


def test_first_draws_over_neighbouring_keys_are_uniform_and_unrelated() -> None:
    first = np.array([[generator(17, epoch, index, "order").random() for index in range(200)] for epoch in range(20)])
    assert first.mean() == pytest.approx(0.5, abs=4 * (1 / 12 / first.size) ** 0.5)
    assert first.var() == pytest.approx(1 / 12, rel=0.1)
    assert abs(np.corrcoef(first[:-1].ravel(), first[1:].ravel())[0, 1]) < 4 / first.size**0.5
    assert abs(np.corrcoef(first[:, :-1].ravel(), first[:, 1:].ravel())[0, 1]) < 4 / first.size**0.5


@given(keys)
def test_the_draws_are_those_of_numpys_philox_keyed_by_the_hash_of_the_words(key: tuple[int, int, int, str]) -> None:
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=16).digest()
    philox = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
    ours = generator(*key)
    assert ours.bit_generator.state["state"]["key"].tolist() == philox.bit_generator.state["state"]["key"].tolist()
    assert (ours.random(9) == philox.random(9)).all()
