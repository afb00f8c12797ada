"""Formulas that ask for much, and changed models, by chance: in processes with limits, none of which dies."""

import copy
import os
import signal
import time
import warnings

import numpy as np
import pytest

from bayesglm import archive, load
from bayesglm.model_file import ESTIMATORS
from tests.limited_child import limited
from tests.reliability import changed_model_files, demanding_formulas


def test_formulas_that_ask_for_much():
    """`python -m tests.reliability.demanding_formulas` goes on with these."""
    counts = demanding_formulas.attack(seed=7, first=0, seconds=60.0, most=20)
    assert counts["FINDING"] == 0
    assert counts["refused"] > 5


@pytest.fixture(scope="module")
def trees():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return changed_model_files.models(("arrays", "formula", "gamma", "classes", "robust", "logistic"))


def test_changed_files(trees, tmp_path):
    """`python -m tests.reliability.changed_model_files` tries thousands, of models of all kinds."""
    attack = changed_model_files.Attack(trees, 5, tmp_path / "model")
    found = attack.several(range(20))
    assert [said for outcome, said in found if outcome.startswith("FINDING")] == []
    assert sum(outcome == "refused" for outcome, _ in found) > 5


@pytest.mark.parametrize("name", ["gamma", "robust"])
def test_draws_of_which_everything_overflows(name, trees, tmp_path):
    """A file may hold any draws; what they predict is refused, and never infinite."""
    kind, tree, rows = trees[name]
    draws = {**tree["fit"]["draws"], "Intercept": np.full((2, 30), 1e10 if name == "gamma" else 1e308)}
    archive.write(
        tmp_path / "model",
        {**tree, "fit": {**tree["fit"], "draws": draws}},
        kind,
        ESTIMATORS[kind]._data.VERSION,
    )
    model = load(tmp_path / "model")
    for call in (model.predict, model.sample_predictive):
        with pytest.raises(ValueError, match="overflow"):
            call(rows)


def test_log_odds_are_finite_whatever_the_draws(trees, tmp_path):
    kind, tree, rows = trees["logistic"]
    draws = {**tree["fit"]["draws"], "Intercept": np.full((2, 30), -1e149)}
    version = ESTIMATORS[kind]._data.VERSION
    archive.write(tmp_path / "model", {**tree, "fit": {**tree["fit"], "draws": draws}}, kind, version)
    odds = load(tmp_path / "model").decision_function(rows)
    assert np.isfinite(odds).all()
    assert (odds < 0.0).all()


def test_messages_have_one_line(trees, tmp_path):
    """Also where they show what stands in the place of a number: here a tree of arrays."""
    kind, tree, _ = trees["gamma"]
    fit = tree["fit"]
    priors = {
        **fit["priors"],
        "intercept": {**fit["priors"]["intercept"], "parameters": {"loc": tree, "scale": 1.0}},
    }
    archive.write(
        tmp_path / "model", {**tree, "fit": {**fit, "priors": priors}}, kind, ESTIMATORS[kind]._data.VERSION
    )
    with pytest.raises(ValueError, match="cannot be loaded") as caught:
        load(tmp_path / "model")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("arrays", lambda fit: fit["parts"][0]["priors"]["aux"]["sigma"]["parameters"].update(df=2**128)),
        ("arrays", lambda fit: fit["parts"][0]["draws"].update(sigma=np.full((2, 30), 1e200))),
        ("classes", lambda fit: fit["family"]["parameters"].update(n_classes=np.ones((3, 4)))),
        ("classes", lambda fit: fit["family"]["parameters"].update(n_classes={})),
    ],
    ids=range(4),
)
def test_numbers_that_are_none(name, change, trees, tmp_path):
    kind, tree, _ = trees[name]
    tree = copy.deepcopy(tree)
    change(tree["fit"])
    archive.write(tmp_path / "model", tree, kind, ESTIMATORS[kind]._data.VERSION)
    with pytest.raises(ValueError, match=r"cannot be loaded: .*(no such number|doubles|whole number|int)"):
        load(tmp_path / "model")


def test_a_weight_that_is_none(trees, tmp_path):
    kind, tree, _ = trees["arrays"]
    archive.write(
        tmp_path / "model",
        {**tree, "rows": {**tree["rows"], "weight": 5e-324}},
        kind,
        ESTIMATORS[kind]._data.VERSION,
    )
    with pytest.raises(ValueError, match="with a weight of at least"):
        load(tmp_path / "model")


def test_children_have_limits():
    assert limited(lambda: 7, 10.0, 1e3).result == 7
    assert limited(lambda: time.sleep(60), 0.1, 1e3).end == "it did not end in time"
    assert limited(lambda: os.kill(os.getpid(), signal.SIGKILL), 10.0, 1e3).end == "killed by SIGKILL"
    here = demanding_formulas.mapped()
    assert limited(lambda: np.ones(1 << 27).sum(), 10.0, here + 0.3).end == "exit 70"
