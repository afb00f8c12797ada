"""NumPy's generators as data: they go on with the same numbers, and states that they cannot be in are refused."""

import numpy as np
import pytest

from bayesglm.generator_data import describe, restore
from tests.test_model_file_crafted import changed


@pytest.mark.parametrize("kind", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_generators_give_the_same_numbers(kind):
    bits = getattr(np.random, kind)(12)
    np.random.Generator(bits).random(5, dtype=np.float32)  # half a word is left over
    again = restore(describe(bits), "it")
    assert type(again) is type(bits)
    np.testing.assert_array_equal(again.random_raw(2000), bits.random_raw(2000))


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        # NumPy would read beyond its buffer.
        ("MT19937", ("state", "pos"), 625),
        ("MT19937", ("state", "pos"), -1),
        ("MT19937", ("state", "key"), np.zeros(624, np.uint32)),
        ("MT19937", ("state", "key"), np.ones(623, np.uint32)),
        ("MT19937", ("state", "key"), np.ones(624, np.uint64)),
        ("MT19937", ("state",), {}),
        ("Philox", ("buffer_pos",), 5),
        ("Philox", ("buffer_pos",), -5),
        ("Philox", ("buffer",), np.zeros(3, np.uint64)),
        ("Philox", ("state", "counter"), np.zeros(1, np.uint64)),
        ("SFC64", ("state", "state"), np.zeros(4, np.int64)),
        ("PCG64", ("state", "inc"), 4),
        ("PCG64", ("more",), 4),
    ],
)
def test_generators_that_numpy_would_believe(kind, path, value):
    data = describe(getattr(np.random, kind)(12))
    with pytest.raises(ValueError, match=r"^('\w+' of )?it (must|has|lacks)"):
        restore(changed(data, path, value) if path != ("more",) else {**data, "more": value}, "it")


def test_generators_of_all_wrappings():
    for generator in (np.random.default_rng(1), np.random.RandomState(1)):
        generator.normal(size=3)
        again = restore(describe(generator), "it")
        assert type(again) is type(generator)
        np.testing.assert_array_equal(again.normal(size=7), generator.normal(size=7))


class Own(np.random.PCG64):
    pass


@pytest.mark.parametrize(
    "value",
    [
        3,
        None,
        "PCG64",
        np.random,
        Own(1),
        np.random.Generator(Own(1)),
        np.random.RandomState(np.random.PCG64(1)),
    ],
)
def test_what_is_no_generator_of_numpy(value):
    assert describe(value) is None
