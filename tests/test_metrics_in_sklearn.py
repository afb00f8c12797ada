"""Scorers in scikit-learn's tools: cross-validation, searches, importances, processes, metadata routing."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
    learning_curve,
)

from bayesglm import BayesianLinearRegression
from bayesglm.metrics import (
    CRPSScorer,
    IntervalScorer,
    LogDensityScorer,
    PinballScorer,
)
from tests.linear_data import FRAME, X, exact_fit, y
from tests.test_metrics import BY_FORMULA, QUICK, SCORERS, WEIGHTS, each_scorer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@each_scorer
def test_cross_validation(scorer):
    cv = KFold(3)
    found = cross_val_score(QUICK, X, y, scoring=scorer, cv=cv)
    expected = [scorer(clone(QUICK).fit(X[a], y[a]), X[b], y[b]) for a, b in cv.split(X)]
    np.testing.assert_array_equal(found, expected)
    from_formula = cross_val_score(BY_FORMULA, FRAME, scoring=scorer, cv=cv)
    np.testing.assert_allclose(from_formula, expected, rtol=1e-10)
    one_sided = BayesianLinearRegression("a + b + c", draws=20, random_state=0)
    np.testing.assert_allclose(
        cross_val_score(one_sided, FRAME, y, scoring=scorer, cv=cv), expected, rtol=1e-10
    )


def test_all_at_once_and_in_other_processes():
    results = [cross_validate(QUICK, X, y, scoring=SCORERS, cv=3, n_jobs=jobs) for jobs in (None, 2)]
    for name, scorer in SCORERS.items():
        single = cross_val_score(QUICK, X, y, scoring=scorer, cv=3)
        for found in results:
            np.testing.assert_array_equal(found[f"test_{name}"], single)


def test_searches():
    grid = {"prior_scale": [1e-4, 0.1, 2.5]}
    for scorer in (LogDensityScorer(), CRPSScorer(), IntervalScorer(), PinballScorer()):
        search = GridSearchCV(QUICK, grid, scoring=scorer, cv=3).fit(X, y)
        # A prior that forbids slopes predicts worst, whoever judges.
        assert search.cv_results_["rank_test_score"][0] == 3
        assert search.score(X, y) == scorer(search, X, y)
    search = GridSearchCV(QUICK, grid, scoring=SCORERS, refit="crps", cv=3).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_pinball"].argmin(), 0)
    halving = HalvingGridSearchCV(QUICK, grid, scoring=CRPSScorer(), cv=3, min_resources=15).fit(X, y)
    assert halving.best_params_["prior_scale"] > 1e-4
    search = GridSearchCV(QUICK, grid, scoring=IntervalScorer())
    assert clone(search).set_params(scoring__coverage=0.5).scoring.coverage == 0.5
    assert search.scoring.coverage == 0.9


def test_searches_send_weights_to_the_scorer():
    search = GridSearchCV(
        QUICK, {"prior_scale": [2.5]}, scoring={"c": CRPSScorer(), "l": LogDensityScorer()}, refit="c"
    )
    cv = KFold(2)
    found = search.set_params(cv=cv).fit(X, y, sample_weight=WEIGHTS).cv_results_
    for name, scorer in search.scoring.items():
        for fold, (a, b) in enumerate(cv.split(X)):
            model = clone(QUICK).set_params(prior_scale=2.5).fit(X[a], y[a], WEIGHTS[a])
            weighted = scorer(model, X[b], y[b], WEIGHTS[b])
            plain = scorer(model, X[b], y[b])
            score = found[f"split{fold}_test_{name}"][0]
            # Without metadata routing, older versions of scikit-learn keep the weights from the scorer.
            assert score in (weighted, plain)
            if tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 9):
                assert score == weighted


def test_learning_curve_and_permutation_importance():
    sizes, _, scores = learning_curve(QUICK, X, y, scoring=CRPSScorer(), cv=3, train_sizes=[10, 40])
    assert sizes.tolist() == [10, 40]
    assert scores.mean(axis=1)[1] > scores.mean(axis=1)[0]
    for scoring in (LogDensityScorer(), {"l": LogDensityScorer(), "c": CRPSScorer()}):
        found = permutation_importance(
            exact_fit(), X, y, scoring=scoring, random_state=0, sample_weight=np.ones(60)
        )
        importances = found if "importances_mean" in found else found["c"]
        assert np.argsort(importances["importances_mean"]).tolist() == [2, 1, 0]
    formula = clone(BY_FORMULA).fit(FRAME)
    found = permutation_importance(
        formula, FRAME[list("abcg")], FRAME["y"], scoring=CRPSScorer(), random_state=0
    )
    assert np.argsort(found["importances_mean"]).tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize(
    "scoring", [CRPSScorer(), {"score": IntervalScorer(coverage=0.5)}], ids=["one", "dict"]
)
def test_metadata_routing(scoring):
    cv = KFold(3)
    scorer = scoring["score"] if isinstance(scoring, dict) else scoring
    with sklearn.config_context(enable_metadata_routing=True):
        model = clone(QUICK).set_fit_request(sample_weight=True)
        asked = clone(scorer).set_score_request(sample_weight=True)
        routed = dict.fromkeys(scoring, asked) if isinstance(scoring, dict) else asked
        found = cross_validate(model, X, y, scoring=routed, cv=cv, params={"sample_weight": WEIGHTS})[
            "test_score"
        ]
        expected = [
            scorer(clone(QUICK).fit(X[a], y[a], WEIGHTS[a]), X[b], y[b], WEIGHTS[b]) for a, b in cv.split(X)
        ]
        np.testing.assert_array_equal(found, expected)
        search = GridSearchCV(
            model, {"draws": [20]}, scoring=routed, refit="score" if isinstance(routed, dict) else True, cv=cv
        )
        assert search.fit(X, y, sample_weight=WEIGHTS).best_score_ == pytest.approx(
            np.mean(expected), rel=1e-12
        )
        assert search.score(X, y, sample_weight=WEIGHTS) == asked(search, X, y, WEIGHTS)
        # Weights that nobody asked for are refused by scikit-learn, as with its own scorers.
        with pytest.raises(ValueError, match="sample_weight"):
            cross_validate(model, X, y, scoring=clone(scorer), cv=cv, params={"sample_weight": WEIGHTS})
        ignored = clone(scorer).set_score_request(sample_weight=False)
        unweighted = cross_validate(model, X, y, scoring=ignored, cv=cv, params={"sample_weight": WEIGHTS})
        assert not np.array_equal(unweighted["test_score"], expected)
        assert clone(asked).get_metadata_routing().score.requests == {"sample_weight": True}
        aliased = clone(scorer).set_score_request(sample_weight="judge")
        assert aliased.get_metadata_routing().score.requests == {"sample_weight": "judge"}
