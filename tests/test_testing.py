"""Calibration as users call it: ranks, their test and pictures, what is refused, and that faults are noticed."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import BayesianRidge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bayesglm import (
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianPoissonRegressor,
    Flat,
    Horseshoe,
    Normal,
)
from bayesglm.calibration import Calibration, rank_p_value
from bayesglm.testing import predictive_coverage, simulation_based_calibration

RNG = np.random.default_rng(3)
X = RNG.normal(size=(15, 2)) + np.array([2.0, 0.0])
Y = X @ [1.0, -0.5] + RNG.normal(size=15)
LINEAR = BayesianLinearRegression(draws=250)


def rejects(ranks, n_ranked=99):
    return rank_p_value(ranks, n_ranked) < 1e-3


# -- the test of ranks -------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "n_ranked"), [(50, 9), (200, 99), (300, 1000)])
def test_the_test_of_ranks_keeps_its_level(n, n_ranked):
    # 1,000 sets of uniform ranks: the share of p-values below 0.1 has a standard error of 0.0095.
    rng = np.random.default_rng(0)
    found = np.array([rank_p_value(rng.integers(n_ranked + 1, size=n), n_ranked) for _ in range(1000)])
    assert abs((found <= 0.1).mean() - 0.1) < 3.5 * 0.0095
    assert found.min() > 1e-4


def test_the_test_of_ranks_sees_shifts_and_widths():
    # Truths that are normal with scale 1 among draws of another scale or place.
    rng = np.random.default_rng(1)
    truth, draws = rng.normal(size=(1000, 1)), rng.normal(size=(1000, 99))
    assert not rejects((draws < truth).sum(axis=1))
    for wrong in (1.3 * draws, draws / 1.3, draws + 0.25, draws - 0.25):
        assert rejects((wrong < truth).sum(axis=1))


def test_the_band_holds_curves_as_often_as_it_says():
    rng = np.random.default_rng(2)
    outside = 0
    for _ in range(100):
        found = Calibration(("a",), rng.integers(100, size=(100, 1)), 99, (), 0)
        ax = found.plot(level=0.8).axes[0]
        low, high = _band(ax)
        curve = ax.lines[1].get_ydata()
        outside += bool(np.any((curve < low - 1e-9) | (curve > high + 1e-9)))
        plt.close("all")
    # 20 expected, with a standard deviation of 4; discreteness makes it fewer, if anything.
    assert 8 <= outside <= 34


def _band(ax):
    """Lowest and highest differences that the grey band holds, point by point."""
    vertices = ax.collections[0].get_paths()[0].vertices
    points = ax.lines[1].get_xdata()
    # The band is a step function around the points.
    at = [vertices[np.isclose(vertices[:, 0], x, atol=0.006), 1] for x in points]
    return np.array([v.min() for v in at]), np.array([v.max() for v in at])


# -- simulations -------------------------------------------------------------------------------------


def test_the_default_model_is_calibrated():
    found = simulation_based_calibration(LINEAR, X, Y, n_simulations=200, random_state=0)
    assert found.names == ("Intercept", "x0", "x1", "sigma", "log_likelihood")
    assert found.ranks.shape == (200, 5)
    assert found.ranks.min() >= 0
    assert found.ranks.max() <= 99
    assert found.p_value > 0.01
    assert "p-value" in str(found)


class _Narrow(BayesianLinearRegression):
    """Wrong on purpose: posterior draws too close to their mean."""

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        for values in self.posterior_.draws.values():
            values[:] = values.mean() + (values - values.mean()) / 1.5
        return self


class _Blind(BayesianLinearRegression):
    """Wrong on purpose: sees only every other row."""

    def fit(self, X, y=None, sample_weight=None):
        return super().fit(X[::2], np.asarray(y)[::2])


def test_too_narrow_posteriors_are_noticed():
    found = simulation_based_calibration(_Narrow(draws=250), X[:, :1], Y, n_simulations=200, random_state=0)
    assert found.p_value < 1e-3


def test_rows_left_out_are_noticed_by_the_log_likelihood_alone():
    # A posterior of half of the rows is a right one of its parameters: their ranks are uniform all the same.
    found = simulation_based_calibration(_Blind(draws=250), X, Y, n_simulations=200, random_state=0)
    by_name = dict(zip(found.names, found.p_values, strict=True))
    assert by_name.pop("log_likelihood") < 1e-3
    assert min(by_name.values()) > 1e-3


def test_results_follow_from_the_seed_and_not_from_the_number_of_processes():
    runs = [
        simulation_based_calibration(LINEAR, X, Y, n_simulations=6, n_jobs=jobs, random_state=seed)
        for jobs, seed in ((1, 0), (2, 0), (1, 1))
    ]
    np.testing.assert_array_equal(runs[0].ranks, runs[1].ranks)
    assert not np.array_equal(runs[0].ranks, runs[2].ranks)


def test_the_estimator_is_left_alone():
    model = BayesianLinearRegression(draws=250, random_state=0).fit(X, Y)
    before = dict(model.__dict__)
    rows, response = X.copy(), Y.copy()
    simulation_based_calibration(model, X, n_simulations=2, random_state=0)
    assert model.__dict__ == before
    np.testing.assert_array_equal(X, rows)
    np.testing.assert_array_equal(Y, response)


def test_priors_are_those_of_the_fit_or_of_the_response_that_is_given():
    fitted = BayesianLinearRegression(draws=250).fit(X, Y)
    by_fit = simulation_based_calibration(fitted, X, n_simulations=5, random_state=0)
    by_y = simulation_based_calibration(LINEAR, X, Y, n_simulations=5, random_state=0)
    np.testing.assert_array_equal(by_fit.ranks, by_y.ranks)


def test_a_formula_with_missing_values():
    frame = pd.DataFrame({"a": X[:, 0], "g": ["u", "v", "w"] * 5, "n": RNG.poisson(2, 15)})
    frame.loc[3, "a"] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = simulation_based_calibration(
            BayesianPoissonRegressor("n ~ np.log(a + 5) + g", draws=250),
            frame,
            n_simulations=20,
            random_state=0,
            exposure=np.arange(1.0, 16.0),
        )
    assert found.names == ("Intercept", "g[T.v]", "g[T.w]", "np.log(a + 5)", "log_likelihood")
    assert len(found.ranks) + len(found.refused) == 20


def test_classes_that_do_not_occur_are_counted():
    y = np.where(np.arange(15) % 3 == 0, "no", "yes")
    model = BayesianLogisticRegression(draws=250, prior=Normal(0, 3), intercept_prior=Normal(0, 8))
    found = simulation_based_calibration(model, X, y, n_simulations=40, random_state=0)
    assert found.refused
    assert len(found.refused) + len(found.ranks) == 40
    new = predictive_coverage(model, X, y, n_simulations=40, random_state=0)
    assert new.hits is None
    assert new.observed.shape == (4,)


def test_three_classes_and_learned_scales_are_named():
    y = np.array(["a", "b", "c"] * 5)
    model = BayesianLogisticRegression(draws=100, prior=Normal(0, 1), intercept_prior=Normal(0, 1))
    found = simulation_based_calibration(model, X, y, n_simulations=4, random_state=0)
    assert found.names[:4] == ("Intercept[a]", "Intercept[b]", "Intercept[c]", "x0[a]")
    model.set_params(reference="b")
    found = simulation_based_calibration(model, X, y, n_simulations=4, random_state=0)
    assert found.names[:3] == ("Intercept[a]", "Intercept[c]", "x0[a]")
    sparse = BayesianLinearRegression(draws=100, prior=Horseshoe(0.1))
    assert "global_scale" in simulation_based_calibration(sparse, X, Y, n_simulations=2, random_state=0).names


def test_precision_weights():
    model = BayesianLinearRegression(draws=250, weights_type="precision")
    weights = np.linspace(0.0, 20.0, 15)
    found = simulation_based_calibration(
        model, X, Y, sample_weight=weights, n_simulations=200, random_state=0
    )
    assert found.p_value > 0.01


def test_coverage_of_the_default_model():
    found = predictive_coverage(LINEAR, X, Y, n_simulations=300, random_state=0)
    np.testing.assert_allclose(found.observed, found.levels, atol=3.5 * found.standard_error.max())
    np.testing.assert_allclose(found.central, found.levels, atol=3.5 * found.standard_error.max())
    assert found.p_values.min() > 1e-3
    assert found.p_value > 1e-3
    assert "0.90" in str(found)


def test_coverage_of_counts_is_at_least_nominal():
    model = BayesianPoissonRegressor(draws=250, prior=Normal(0, 0.3), intercept_prior=Normal(1, 0.3))
    found = predictive_coverage(model, X, np.arange(15), n_simulations=200, random_state=0)
    assert found.discrete
    assert np.all(found.observed > found.levels - 3.0 * found.standard_error)
    assert found.p_value > 1e-3


def test_trials_reach_likelihood_and_intervals():
    trials = np.arange(1.0, 16.0)
    model = BayesianGLM(family="binomial", prior=Normal(0, 0.5), intercept_prior=Normal(0, 0.5), draws=250)
    found = predictive_coverage(
        model, X, np.floor(trials / 2), trials=trials, n_simulations=100, random_state=0
    )
    assert found.p_value > 1e-3
    ranks = simulation_based_calibration(
        model, X, np.floor(trials / 2), trials=trials, n_simulations=100, random_state=0
    )
    assert ranks.p_value > 1e-3


def test_pictures():
    found = simulation_based_calibration(LINEAR, X, Y, n_simulations=20, random_state=0)
    figure = found.plot()
    titles = [ax.get_title() for ax in figure.axes if ax.axison]
    assert [title.split()[0] for title in titles] == list(found.names)
    ax = plt.figure().add_subplot()
    assert found.plot(["sigma"], axes=ax) is ax.figure
    coverage = predictive_coverage(LINEAR, X, Y, n_simulations=20, random_state=0)
    assert len(coverage.plot().axes) == 1
    plt.close("all")
    with pytest.raises(ValueError, match="names: 'tau' was not ranked"):
        found.plot(["tau"])


@pytest.mark.parametrize(
    ("error", "match", "model", "more"),
    [
        (TypeError, "model of bayesglm, got Pipeline", make_pipeline(StandardScaler(), LINEAR), {"y": Y}),
        (TypeError, "model of bayesglm, got BayesianRidge", BayesianRidge(), {"y": Y}),
        (NotFittedError, "y: priors can be in units of the response", LINEAR, {}),
        (ValueError, "prior of coef.* is flat", BayesianLinearRegression(prior=Flat(), draws=250), {"y": Y}),
        (ValueError, "n_ranked=99 needs more draws", BayesianLinearRegression(draws=20), {"y": Y}),
        (ValueError, "n_simulations must be", LINEAR, {"y": Y, "n_simulations": 0}),
        (ValueError, "count equal rows", LINEAR, {"y": Y, "sample_weight": np.ones(15)}),
        (ValueError, "one at a time", LINEAR, {"y": np.column_stack([Y, Y])}),
        (
            ValueError,
            "of 10 responses drawn from the prior cannot be fitted",
            BayesianLogisticRegression(intercept_prior=Normal(1000, 1), draws=250),
            {"y": np.arange(15) % 2, "n_simulations": 10},
        ),
    ],
)
def test_what_cannot_be_calibrated_is_refused(error, match, model, more):
    with pytest.raises(error, match=match):
        simulation_based_calibration(model, X, **{"random_state": 0, **more})


def test_coverage_takes_no_weights():
    model = BayesianLinearRegression(weights_type="precision", draws=250)
    with pytest.raises(ValueError, match="coverage takes no weights"):
        predictive_coverage(model, X, Y, sample_weight=np.ones(15))


def test_levels_are_checked():
    with pytest.raises(ValueError, match="levels"):
        predictive_coverage(LINEAR, X, Y, levels=(0.5, 1.5))
