"""Runs that go on by themselves leave draws of the posterior: a small part of `tests.reliability.going_on`."""

import numpy as np
import pytest

from tests.reliability.going_on import KINDS, one, pooled

FITS = 24


@pytest.mark.parametrize("kind", KINDS)
def test_draws_of_runs_that_went_on_are_right(kind):
    results = [one(kind, seed, always=True) for seed in range(FITS)]
    assert all(went_on for went_on, _ in results)
    # Pooled, a share of draws that is off by 0.01 in the middle, or 0.004 in a tail, is five errors off.
    for mean, square in pooled([z for _, z in results]).values():
        assert np.abs(mean).max() < 4.0
        assert square.max() < 1.0 + 4.0 * np.sqrt(2.0 / FITS)
