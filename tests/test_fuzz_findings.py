"""What fuzzing found, each as a small case that stays: refused in a sentence, or done right."""

import datetime
import warnings

import numpy as np
import pandas as pd
import pytest

from bayesglm import (
    BayesianGLM,
    BayesianLogisticRegression,
    BayesianPoissonRegressor,
    Normal,
    StudentT,
    metrics,
)
from bayesglm.inference.posterior import _mean
from tests.linear_data import FRAME, X, check_refused, fit, y

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("error::RuntimeWarning"),
]
FEW = {"draws": 20, "chains": 2, "tune": 20, "random_state": 0}
COUNTS = np.arange(60) % 4


def glm(family, X=X, y=y, **more):
    return BayesianGLM(family=family, **FEW).fit(X, y, **more)


REFUSED = {
    "columns of one name": (
        lambda: fit(pd.DataFrame(X[:, :2], columns=["a", "a"])),
        ValueError,
        r"more than one column 'a': rename",
    ),
    "lists in a column": (
        lambda: fit(pd.DataFrame({"a": [[1, 2]] * 60})),
        ValueError,
        r"column 'a' holds objects of type list",
    ),
    "lists of dates": (
        lambda: glm("laplace", [[datetime.date(2020, 1, 1)]] * 60),
        (ValueError, TypeError),
        r"numbers|float",
    ),
    "records": (lambda: fit(np.zeros((60, 1), dtype="V8")), ValueError, r"X has the dtype .*no numbers"),
    "records as y": (
        lambda: fit(y=np.zeros(60, dtype=[("a", float), ("b", int)])),
        ValueError,
        r"^y must hold numbers",
    ),
    "masked X": (lambda: fit(np.ma.masked_less(X, -2.0)), ValueError, r"X is masked in row \d+.*filled"),
    "masked y": (lambda: fit(y=np.ma.masked_less(y, 0.0)), ValueError, r"y is masked in row \d+"),
    "masked weights": (
        lambda: fit(sample_weight=np.ma.masked_equal(COUNTS, 3)),
        ValueError,
        r"sample_weight is masked in row 3",
    ),
    "complex weights": (lambda: fit(sample_weight=1j + X[:, 0]), TypeError, r"sample_weight must be real"),
    "ragged weights": (lambda: fit(sample_weight=[1.0] * 59 + [[1.0]]), ValueError, r"inhomogeneous"),
    "weights beyond doubles": (
        lambda: fit(sample_weight=10**400),
        ValueError,
        r"sample_weight holds an integer",
    ),
    "infinite single y": (lambda: fit(y=np.array(np.inf)), ValueError, r"y contains inf"),
    "squares of predictors overflow": (
        lambda: glm("gaussian", 1e200 * X),
        ValueError,
        r"so large or small that their squares overflow",
    ),
    "infinities of both signs": (
        lambda: glm("gaussian", np.where(X > 0, np.inf, -np.inf)),
        ValueError,
        r"X contains infinity",
    ),
    "autoscale is an array": (
        lambda: fit(prior=Normal(autoscale=np.array([1, 0]))),
        ValueError,
        r"^prior: autoscale must be True or False; got array",
    ),
    "df beyond doubles": (
        lambda: fit(prior=StudentT(df=10**400)),
        ValueError,
        r"^prior: df must be a positive finite",
    ),
    "loc beyond doubles": (
        lambda: fit(prior=Normal(10**400)),
        ValueError,
        r"^prior: loc must be a finite number",
    ),
    "complex loc": (
        lambda: fit(prior=Normal(np.complex128(1j))),
        ValueError,
        r"^prior: loc must be a finite number",
    ),
    "complex target_accept": (
        lambda: fit(target_accept=np.complex64(0.5)),
        TypeError,
        r"^target_accept must be",
    ),
    "prior_scale beyond doubles": (
        lambda: fit(prior_scale=10**400),
        ValueError,
        r"^prior_scale must be positive",
    ),
    "scale below doubles": (
        lambda: fit(prior=Normal(0, 1e-320)),
        ValueError,
        r"^prior: the scale of .*doubles",
    ),
    "coverage beyond doubles": (
        lambda: glm("gaussian").predict_interval(X, 10**400),
        ValueError,
        r"coverage",
    ),
    "kind is an array": (
        lambda: glm("gaussian").predict_quantiles(X, 0.5, np.array([])),
        ValueError,
        r"kind must be",
    ),
    "q beyond doubles": (lambda: fit().predict_quantiles(X, 10**400), ValueError, r"q must be"),
    "predictors that overflow": (
        lambda: glm("gaussian").predict(np.full((1, 3), 1.5e308)),
        ValueError,
        r"so large that what is predicted of it overflows",
    ),
    "score outside of the support": (
        lambda: glm("beta", y=np.full(60, 0.5)).score(X, np.full(60, 2.0)),
        ValueError,
        r"y",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_in_a_sentence(call, error, message):
    check_refused(call, error, message)


def test_numbers_in_variable_width_strings_are_numbers():
    text = y.astype("U20").astype(np.dtypes.StringDType())
    labels = np.where(COUNTS > 1, "yes", "no")
    model = BayesianLogisticRegression(**FEW).fit(X, labels.astype(np.dtypes.StringDType()))
    assert model.classes_.tolist() == ["no", "yes"]
    np.testing.assert_array_equal(fit(y=text).coef_, fit(y=y.astype("U20").astype(float)).coef_)


def test_scorers_read_the_response_from_the_formula_of_any_likelihood():
    frame = FRAME.assign(y=COUNTS)
    model = BayesianPoissonRegressor("y ~ a", **FEW).fit(frame)
    for scorer in (metrics.log_density_scorer, metrics.crps_scorer, metrics.interval_scorer):
        assert scorer(model, frame, None) == scorer(model, frame, frame["y"])


def test_rows_without_weight_may_have_infinite_scores():
    weights = np.array([1.0, 0.0])
    assert metrics._mean(np.array([2.0, np.inf]), weights) == 2.0


def test_weights_of_a_formula_classifier_score_are_checked():
    frame = FRAME.assign(y=np.where(COUNTS > 1, "yes", "no"))
    model = BayesianLogisticRegression("y ~ a", **FEW).fit(frame)
    assert model.score(frame, sample_weight=2.0) == model.score(frame)
    with pytest.raises(ValueError, match="sample_weight must not be negative"):
        model.score(frame, sample_weight=-np.ones(60))


def test_a_model_without_parameters_is_fitted():
    frame = FRAME.assign(y=np.where(COUNTS > 1, "yes", "no"))
    model = BayesianLogisticRegression("y ~ 0", **FEW).fit(frame)
    np.testing.assert_array_equal(model.predict_proba(frame[:3]), 0.5)


def test_means_of_draws_whose_sum_overflows():
    np.testing.assert_allclose(_mean(np.full((2, 3, 1), 1.5e308)), [1.5e308])


def test_the_rate_of_counts_with_huge_offsets_is_finite():
    level, _ = (
        BayesianPoissonRegressor()._make_family(None).start(np.ones(3), offset=np.array([800.0, 1.0, 2.0]))
    )
    assert level == pytest.approx(np.log(3.5) - 800.0)


def test_odds_ratios_that_overflow_are_infinite():
    rng = np.random.default_rng(0)
    model = BayesianLogisticRegression(prior=Normal(0, 1e6), **FEW)
    rare = rng.normal(size=(20, 1)) * 1e-4
    model.fit(rare, rare[:, 0] > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "inf" in str(model.summary(scale="response"))


def test_rows_without_weight_do_not_count_in_scores_of_successes():
    rows, trials, weights = np.array([[0.0], [-3.0]]), np.array([203, 201]), np.array([1.0, 0.0])
    model = BayesianGLM(family="binomial", **FEW).fit(rows, [0, 1], weights, trials=trials)
    assert np.isfinite(model.score(rows, [0, 1], weights, trials=trials))
