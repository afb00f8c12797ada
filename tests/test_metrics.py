"""Scores against pinball losses, simulation and the model's own methods; what scorers look through and refuse."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import sklearn
from scipy.stats import norm
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, mean_pinball_loss
from sklearn.model_selection import (
    GridSearchCV,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

import bayesglm
from bayesglm import BayesianLinearRegression, metrics
from bayesglm.metrics import (
    CoverageScorer,
    CRPSScorer,
    IntervalScorer,
    LogDensityScorer,
    PinballScorer,
    crps_normal_mixture,
    interval_coverage,
    interval_score,
)
from tests.linear_data import FRAME, X, check_refused, exact_fit, with_, y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUICK = BayesianLinearRegression(draws=20, random_state=0)
BY_FORMULA = BayesianLinearRegression("y ~ a + b + c", draws=20, random_state=0)
SCORERS = {
    "log density": LogDensityScorer(),
    "crps": CRPSScorer(),
    "interval": IntervalScorer(),
    "half interval": IntervalScorer(coverage=0.5),
    "coverage": CoverageScorer(coverage=0.6),
    "pinball": PinballScorer(),
    "median": PinballScorer(quantiles=0.5),
}
each_scorer = pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS.keys())
by_quantiles = pytest.mark.parametrize("name", ["interval", "half interval", "coverage", "pinball", "median"])
WEIGHTS = np.arange(60) % 4


# -- functions of arrays ---------------------------------------------------------------------------------


@pytest.mark.parametrize("coverage", [0.1, 0.5, 0.9, 0.999])
def test_interval_score_is_the_pinball_loss_of_its_ends(coverage):
    rng = np.random.default_rng(0)
    observed, weights = rng.normal(size=200), rng.uniform(size=200)
    interval = np.sort(rng.normal(size=(200, 2)), axis=1)
    tail = (1.0 - coverage) / 2.0
    losses = [
        mean_pinball_loss(observed, interval[:, i], alpha=level, sample_weight=weights)
        for i, level in enumerate([tail, 1.0 - tail])
    ]
    found = interval_score(observed, interval, coverage, weights)
    assert found == pytest.approx(sum(losses) * 2.0 / (1.0 - coverage), rel=1e-12)


def test_interval_functions_on_numbers_done_by_hand():
    observed, interval = [0.0, 1.0, 2.0, 7.0], [[0.0, 1.0], [0.0, 4.0], [3.0, 5.0], [1.0, 5.0]]
    # Widths 1, 4, 2, 4; the third lies 1 below and the fourth 2 above; 2/(1 - 0.5) = 4.
    assert interval_score(observed, interval, 0.5) == (1 + 4 + (2 + 4) + (4 + 8)) / 4
    assert interval_score(observed, interval, 0.5, [1, 0, 2, 1]) == (1 + 2 * 6 + 12) / 4
    assert interval_coverage(observed, interval) == 0.5
    assert interval_coverage(observed, interval, [0, 1, 2, 1]) == 0.25


def test_interval_functions_over_several_responses():
    rng = np.random.default_rng(0)
    observed, interval = rng.normal(size=(30, 3)), np.sort(rng.normal(size=(30, 3, 2)))
    for function in (interval_score, interval_coverage):
        single = [function(observed[:, i], interval[:, i]) for i in range(3)]
        assert function(observed, interval) == pytest.approx(np.mean(single), rel=1e-13)


def test_missing_values_are_neither_inside_nor_outside():
    assert np.isnan(interval_coverage([0.0, np.nan], [[-1, 1], [-1, 1]]))
    assert np.isnan(interval_score([0.0, 0.0], [[-1, 1], [np.nan, 1]]))


def test_arrays_that_do_not_fit_are_refused():
    check_refused(
        lambda: interval_score([0.0], [[0.0, 1.0, 2.0]]), ValueError, r"shape \(1, 2\).*got \(1, 3\)"
    )
    check_refused(
        lambda: interval_score([0.0, 0.0], [[0, 1], [1, 0]]), ValueError, "above its upper one in row 1"
    )
    check_refused(
        lambda: interval_score([0.0], [[0, 1]], 1.0), ValueError, "coverage must be between 0 and 1"
    )
    check_refused(
        lambda: interval_coverage([0.0], [[0, 1]], [0.0]), ValueError, "(?i)sample.weight.* (non-)?zero"
    )
    check_refused(
        lambda: crps_normal_mixture([0.0], [0.5], [0.0], [1.0]), ValueError, "weights must .* sum to one"
    )
    check_refused(
        lambda: crps_normal_mixture([0.0], [1.0], [0.0], [-1.0]), ValueError, "sds must not be negative"
    )
    check_refused(lambda: crps_normal_mixture(0.0, [1.0], [0.0], [1.0]), ValueError, "one-dimensional")
    check_refused(
        lambda: crps_normal_mixture([0.0], [1.0], [0.0, 1.0], [1.0]),
        ValueError,
        r"means and sds must have shape \(1, 1\)",
    )


def test_crps_of_a_mixture_is_its_mean_over_pairs():
    rng = np.random.default_rng(0)
    observed, points = rng.normal(size=5), rng.normal(size=40)
    weights = rng.dirichlet(np.ones(40))
    spread = weights @ np.abs(points[:, np.newaxis] - points) @ weights / 2
    expected = [weights @ np.abs(points - value) - spread for value in observed]
    np.testing.assert_allclose(
        crps_normal_mixture(observed, weights, points, np.zeros(40)), expected, rtol=1e-13
    )
    # Components drawn from N(0, 0.8²), with width 0.6, make N(0, 1).
    nodes, shares = np.polynomial.hermite_e.hermegauss(60)
    found = crps_normal_mixture(observed, shares / shares.sum(), 0.8 * nodes, np.full(60, 0.6))
    exact = observed * (2 * norm.cdf(observed) - 1) + 2 * norm.pdf(observed) - 1 / np.sqrt(np.pi)
    np.testing.assert_allclose(found, exact, rtol=1e-9)


@pytest.mark.parametrize(("loc", "scale"), [(0.0, 1.4), (0.0, 0.7), (0.4, 1.0)])
def test_scores_prefer_the_distribution_that_the_data_come_from(loc, scale):
    observed = np.random.default_rng(0).normal(size=20_000)
    ends = norm.ppf([0.05, 0.95])
    differences = {
        "crps": crps_normal_mixture(observed, [1.0], [loc], [scale])
        - crps_normal_mixture(observed, [1.0], [0.0], [1.0]),
        "interval": [
            interval_score([value], [loc + scale * ends]) - interval_score([value], [ends])
            for value in observed[:4000]
        ],
    }
    for name, difference in differences.items():
        assert np.mean(difference) > 3.0 * np.std(difference) / np.sqrt(len(difference)), name


# -- what a scorer returns -------------------------------------------------------------------------------


def test_scorers_are_means_of_what_the_model_says():
    model = exact_fit()
    assert LogDensityScorer()(model, X, y) == pytest.approx(
        model.log_predictive_density(X, y).mean(), rel=1e-13
    )
    assert CRPSScorer()(model, X, y) == pytest.approx(-model.crps(X, y).mean(), rel=1e-13)
    tails = [0.25, 0.75]
    losses = [mean_pinball_loss(y, model.predict_quantiles(X, q), alpha=q) for q in tails]
    assert IntervalScorer(coverage=0.5)(model, X, y) == pytest.approx(-4.0 * sum(losses), rel=1e-12)
    assert PinballScorer(quantiles=tails)(model, X, y) == pytest.approx(-np.mean(losses), rel=1e-12)
    low, high = model.predict_interval(X, 0.6).T
    assert CoverageScorer(coverage=0.6)(model, X, y) == np.mean((low < y) & (y < high))
    # Half the absolute error of the median is the pinball loss there.
    error = mean_absolute_error(y, model.predict_quantiles(X, 0.5))
    assert PinballScorer(quantiles=0.5)(model, X, y) == pytest.approx(-error / 2.0, rel=1e-12)


def test_log_density_of_a_normal_predictive_distribution():
    """With a flat-tailed prior far away and much data the predictive distribution is nearly the plug-in normal."""
    rng = np.random.default_rng(0)
    many = rng.normal(size=(20_000, 1))
    response = 2.0 * many[:, 0] + rng.normal(scale=0.5, size=20_000)
    model = clone(QUICK).fit(many, response)
    expected = norm.logpdf(response, model.predict(many), model.sigma_).mean()
    assert LogDensityScorer()(model, many, response) == pytest.approx(expected, abs=1e-3)


@each_scorer
def test_a_weight_counts_rows(scorer):
    rows = np.repeat(np.arange(60), WEIGHTS)
    assert scorer(exact_fit(), X, y, WEIGHTS) == pytest.approx(
        scorer(exact_fit(), X[rows], y[rows]), rel=1e-12
    )


@each_scorer
def test_rows_with_missing_values_are_left_out(scorer):
    model = clone(BY_FORMULA).fit(FRAME)
    whole = FRAME.drop(index=[3, 8])
    for name, row in (("a", 3), ("y", 3)):
        frame = FRAME.assign(**{name: with_(FRAME[name], row, np.nan)}).assign(b=with_(FRAME["b"], 8, np.nan))
        weights = np.linspace(1, 2, 60)
        expected = scorer(model, whole, None, np.delete(weights, [3, 8]))
        assert scorer(model, frame, None, weights) == pytest.approx(expected, rel=1e-13)
        assert scorer(model, frame, frame["y"], weights) == pytest.approx(expected, rel=1e-13)
    nothing = FRAME.assign(a=np.nan)
    check_refused(
        lambda: scorer(model, nothing), ValueError, "has no row to score: each of them holds a missing"
    )
    # The only rows with weight are those left out.
    check_refused(
        lambda: scorer(model, frame, None, np.eye(60)[3]), ValueError, "(?i)sample.weight.* (non-)?zero"
    )


@each_scorer
def test_arrays_with_missing_values_are_refused(scorer):
    check_refused(lambda: scorer(exact_fit(), X, with_(y, 5, np.nan)), ValueError, "y contains NaN in row 5")
    check_refused(
        lambda: scorer(exact_fit(), with_(X, (5, 0), np.nan), y), ValueError, "X contains NaN.*row 5"
    )
    check_refused(lambda: scorer(exact_fit(), X, y[:-1]), ValueError, "y has .*59.*60")
    check_refused(lambda: scorer(exact_fit(), X), ValueError, "y is None: give the observed responses")
    check_refused(
        lambda: scorer(exact_fit(), X, y, -WEIGHTS), ValueError, "sample_weight must not be negative"
    )
    assert scorer(exact_fit(), X, y[:, np.newaxis]) == scorer(exact_fit(), X, y)


class SeveralResponses:
    """Predictions of two responses, as a model of several would make them."""

    density, score = np.random.default_rng(0).normal(size=(2, 6, 2))
    ends = np.sort(np.random.default_rng(1).normal(size=(6, 2, 2)))

    def log_predictive_density(self, X, y=None):
        return self.density

    def crps(self, X, y=None):
        return self.score

    def predict_interval(self, X, coverage=0.9):
        return self.ends

    def predict_quantiles(self, X, q):
        return self.ends


def test_several_responses():
    rng = np.random.default_rng(2)
    rows, observed, weights = rng.normal(size=(6, 1)), rng.normal(size=(6, 2)), rng.uniform(size=6)
    model = SeveralResponses()
    joint = np.average(model.density.sum(axis=1), weights=weights)
    assert LogDensityScorer()(model, rows, observed, weights) == pytest.approx(joint, rel=1e-13)
    mean = np.average(model.score.mean(axis=1), weights=weights)
    assert CRPSScorer()(model, rows, observed, weights) == pytest.approx(-mean, rel=1e-13)
    losses = [
        mean_pinball_loss(observed, model.ends[..., i], alpha=q, sample_weight=weights)
        for i, q in enumerate([0.05, 0.95])
    ]
    assert PinballScorer(quantiles=(0.05, 0.95))(model, rows, observed, weights) == pytest.approx(
        -np.mean(losses)
    )
    assert IntervalScorer()(model, rows, observed, weights) == pytest.approx(-20.0 * sum(losses), rel=1e-12)
    inside = (model.ends[..., 0] <= observed) & (observed <= model.ends[..., 1])
    expected = np.average(inside.mean(axis=1), weights=weights)
    assert CoverageScorer()(model, rows, observed, weights) == pytest.approx(expected, rel=1e-13)


# -- what it scores --------------------------------------------------------------------------------------


@each_scorer
def test_pipelines_and_searches_are_looked_through(scorer):
    scaled = StandardScaler().fit_transform(X)
    expected = scorer(clone(QUICK).fit(scaled, y), scaled, y)
    pipeline = make_pipeline(StandardScaler(), "passthrough", clone(QUICK))
    search = GridSearchCV(pipeline, {"bayesianlinearregression__prior_scale": [2.5]}, cv=2)
    nested = Pipeline(
        [("scale", StandardScaler()), ("search", GridSearchCV(QUICK, {"prior_scale": [2.5]}, cv=2))]
    )
    for composed in (pipeline, search, nested):
        assert scorer(composed.fit(X, y), X, y) == pytest.approx(expected, rel=1e-12)
    alone = Pipeline([("model", clone(QUICK))]).fit(X, y)
    assert scorer(alone, X, y) == scorer(clone(QUICK).fit(X, y), X, y)


@each_scorer
def test_what_has_no_predictive_distribution_is_refused(scorer):
    for estimator in (LinearRegression(), make_pipeline(StandardScaler(), LinearRegression())):
        fitted = estimator.fit(X, y)
        check_refused(
            lambda fitted=fitted: scorer(fitted, X, y),
            TypeError,
            "which LinearRegression does not have: give",
        )
    for unfitted in (QUICK, GridSearchCV(QUICK, {}), make_pipeline(QUICK), TransformedTargetRegressor(QUICK)):
        with pytest.raises(NotFittedError):
            scorer(unfitted, X, y)
    unchosen = GridSearchCV(QUICK, {"prior_scale": [1.0]}, refit=False, cv=2).fit(X, y)
    check_refused(lambda: scorer(unchosen, X, y), TypeError, "GridSearchCV does not have.*refit=True")


POSITIVE = np.exp(y / 3.0)
TRANSFORMATIONS = {
    "increasing": ({"func": np.log, "inverse_func": np.exp}, np.exp),
    "decreasing": (
        {"func": lambda v: -np.log(v), "inverse_func": lambda v: np.exp(-v)},
        lambda v: np.exp(-v),
    ),
}


@by_quantiles
@pytest.mark.parametrize("direction", TRANSFORMATIONS)
def test_quantiles_go_through_monotone_functions_of_y(name, direction):
    scorer = SCORERS[name]
    functions, back = TRANSFORMATIONS[direction]
    model = TransformedTargetRegressor(clone(QUICK), **functions).fit(X, POSITIVE)
    inner = clone(QUICK).fit(X, functions["func"](POSITIVE))
    levels = {
        "interval": [0.05, 0.95],
        "half interval": [0.25, 0.75],
        "coverage": [0.2, 0.8],
        "median": [0.5],
    }.get(name, list(PinballScorer().quantiles))
    # Between the same two quantiles of log y and of y lies the same probability.
    asked = levels if direction == "increasing" else 1.0 - np.asarray(levels)
    carried = back(inner.predict_quantiles(X, asked))
    if "interval" in name:
        expected = -interval_score(POSITIVE, carried, scorer.coverage)
    elif name == "coverage":
        expected = interval_coverage(POSITIVE, carried)
        assert expected == scorer(inner, X, functions["func"](POSITIVE))
    else:
        losses = [mean_pinball_loss(POSITIVE, carried[:, i], alpha=q) for i, q in enumerate(levels)]
        expected = -np.mean(losses)
    assert scorer(model, X, POSITIVE) == pytest.approx(expected, rel=1e-12)
    inside = make_pipeline(StandardScaler(), GridSearchCV(model, {"regressor__prior_scale": [2.5]}, cv=2))
    assert scorer(inside.fit(X, POSITIVE), X, POSITIVE) == pytest.approx(expected, rel=1e-9)


def test_transformers_of_y_that_learn():
    transformed = TransformedTargetRegressor(
        TransformedTargetRegressor(clone(QUICK), transformer=StandardScaler()),
        transformer=QuantileTransformer(n_quantiles=60, output_distribution="normal"),
    ).fit(X, y)
    learnt = transformed.transformer_.transform(y[:, np.newaxis])[:, 0]
    assert CoverageScorer()(transformed, X, y) == CoverageScorer()(transformed.regressor_, X, learnt)
    assert 0.7 < CoverageScorer()(transformed, X, y) <= 1.0


def test_densities_go_through_smooth_functions_of_y_and_crps_through_lines():
    for functions, derivative in (
        ({"func": np.log, "inverse_func": np.exp}, 1 / POSITIVE),
        ({"func": np.sqrt, "inverse_func": np.square}, 0.5 / np.sqrt(POSITIVE)),
        ({"func": lambda v: -(v**3), "inverse_func": lambda v: -np.cbrt(v)}, 3 * POSITIVE**2),
    ):
        model = TransformedTargetRegressor(clone(QUICK), **functions).fit(X, POSITIVE)
        inner = clone(QUICK).fit(X, functions["func"](POSITIVE))
        expected = inner.log_predictive_density(X, functions["func"](POSITIVE)) + np.log(derivative)
        assert LogDensityScorer()(model, X, POSITIVE) == pytest.approx(expected.mean(), rel=1e-9)
    scaled = TransformedTargetRegressor(clone(QUICK), transformer=StandardScaler()).fit(X, y)
    inside = clone(QUICK).fit(X, (y - y.mean()) / y.std())
    expected = -y.std() * inside.crps(X, (y - y.mean()) / y.std()).mean()
    assert CRPSScorer()(scaled, X, y) == pytest.approx(expected, rel=1e-9)


def test_what_does_not_go_through_a_function_of_y_is_refused():
    model = TransformedTargetRegressor(clone(QUICK), func=np.log, inverse_func=np.exp).fit(X, POSITIVE)
    check_refused(
        lambda: CRPSScorer()(model, X, POSITIVE), TypeError, "cannot see through TransformedTarget.*: use"
    )
    check_refused(lambda: IntervalScorer()(model, X), ValueError, "y is None")
    folded = TransformedTargetRegressor(
        clone(QUICK), func=np.sqrt, inverse_func=np.square, check_inverse=False
    )
    folded.fit(X, np.square(y))
    folded.regressor_.fit(X, y)
    check_refused(
        lambda: IntervalScorer()(folded, X, y), ValueError, "rises in some rows and falls in others"
    )
    several = TransformedTargetRegressor(clone(QUICK), transformer=StandardScaler()).fit(X, y)
    several.regressor_ = SeveralResponses()
    check_refused(
        lambda: PinballScorer(0.5)(several, X, y), ValueError, "several responses cannot pass through"
    )


# -- the scorers themselves ------------------------------------------------------------------------------


@each_scorer
def test_scorers_can_be_copied_and_read(scorer):
    for twin in (clone(scorer), pickle.loads(pickle.dumps(scorer))):
        assert type(twin) is type(scorer)
        assert twin.get_params() == scorer.get_params()
    assert repr(IntervalScorer(coverage=0.5)) == "IntervalScorer(coverage=0.5)"
    assert repr(metrics.crps_scorer) == "CRPSScorer()"


def test_parameters_are_checked_when_they_are_used():
    for coverage in (0.0, 1.5):
        check_refused(
            lambda c=coverage: IntervalScorer(c)(exact_fit(), X, y), ValueError, "coverage must be between"
        )
    check_refused(lambda: CoverageScorer("0.5")(exact_fit(), X, y), TypeError, "coverage must be a number")
    for quantiles in (0.0, [0.5, 1.0], [], [[0.5]]):
        check_refused(
            lambda q=quantiles: PinballScorer(q)(exact_fit(), X, y), ValueError, "quantiles must be"
        )


def test_everybody_gets_scorers_of_their_own():
    names = [name for name in metrics.__all__ if name.endswith("_scorer")]
    assert len(names) == 5
    for name in names:
        assert name in dir(metrics)
        assert getattr(metrics, name) is not getattr(metrics, name)
    with sklearn.config_context(enable_metadata_routing=True):
        metrics.crps_scorer.set_score_request(sample_weight=True)
        assert metrics.crps_scorer.get_metadata_routing().score.requests == {"sample_weight": None}
    with pytest.raises(AttributeError, match="has no attribute 'brier_scorer'"):
        metrics.brier_scorer  # noqa: B018
    assert bayesglm.metrics is metrics


def test_importing_the_scores_loads_none_of_scikit_learns():
    code = "import sys, bayesglm; bayesglm.metrics.crps_scorer; print('sklearn.metrics' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert printed.stdout.strip() == "False"
