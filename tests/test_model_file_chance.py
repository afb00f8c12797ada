"""Models with entries replaced, removed, moved or bent at random: refused in one sentence, or harmless."""

import copy
import warnings

import numpy as np
import pytest

from bayesglm import BayesianLinearRegression, model_data
from tests.saved_models import rows_of
from tests.test_model_file_crafted import tree

TREES = ("frame", "laplace", "positive", "two responses", "mapping", "generator", "formula", "no intercept")


def places(data, path=()):
    """Every entry of a tree."""
    items = (
        data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list | tuple) else ()
    )
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


ODD = [
    None,
    True,
    0,
    1,
    -1,
    3,
    2**31,
    2**70,
    0.0,
    0.5,
    -1.0,
    1e308,
    np.nan,
    np.inf,
    "",
    "a",
    "y ~ a",
    [],
    {},
    [1],
]


def mutated(data, rng):
    """A copy in which something is replaced, removed, added, moved, or another number."""
    data = copy.deepcopy(data)
    paths = list(places(data))
    for _ in range(int(rng.integers(1, 3))):
        *path, last = paths[rng.integers(len(paths))]
        inner = data
        try:
            for step in path:
                inner = inner[step]
            value = inner[last]
        except (KeyError, IndexError, TypeError):  # what the first change has removed
            continue
        if not isinstance(inner, dict | list):
            continue
        choice = rng.integers(6)
        if isinstance(value, np.ndarray) and value.size and choice < 4:
            value = value.copy()
            if choice == 0:
                value = value.reshape(-1)[: rng.integers(value.size)]
            elif choice == 1:
                value = value.astype(rng.choice(["f4", "f8", "i8", "u1", "?"]))
            elif value.dtype.kind == "f":
                numbers = [0.0, -1.0, 1e-300, 1e300, 1e10, 1e-10, np.nan, np.inf, 7.0]
                value.reshape(-1)[rng.integers(value.size)] = rng.choice(numbers)
            else:
                value.reshape(-1)[rng.integers(value.size)] ^= 1
            inner[last] = value
        elif choice == 4:
            del inner[last]
        elif choice == 5:
            *_, other = paths[rng.integers(len(paths))]
            inner[last] = other
        else:
            inner[last] = ODD[rng.integers(len(ODD))]
    return data


def works(model, X):
    """Whether a model answers, or refuses in the way that models do."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model.predict(X)
            str(model.summary())
            model.predict(X, return_std=True)
            model.predict_interval(X)
            model.sample_posterior(2)
            model.__sklearn_tags__()
            model.set_params(draws=2, chains=1, tune=5).partial_fit(
                X, None if model.formula else np.zeros((len(X), *model._shape))
            )
        except (ValueError, TypeError):
            return False
    return True


@pytest.mark.parametrize("name", TREES)
def test_any_change_is_refused_or_harmless(name):
    outcomes = attack(name, seed=0, size=60)
    assert outcomes["refused"] > 20
    assert outcomes["sentences"] == outcomes["refused"]


def attack(name, seed, size):
    """Load changed trees, use what is loaded, and count; any other error than ValueError comes through."""
    rng = np.random.default_rng([seed, TREES.index(name)])
    outcomes = {"refused": 0, "sentences": 0, "works": 0, "answers with an error": 0}
    for _ in range(size):
        model = BayesianLinearRegression.__new__(BayesianLinearRegression)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                model_data.restore(model, mutated(tree(name), rng))
        except ValueError as error:
            outcomes["refused"] += 1
            outcomes["sentences"] += "\n" not in str(error)
            continue
        outcomes["works" if works(model, rows_of(name)) else "answers with an error"] += 1
    return outcomes
