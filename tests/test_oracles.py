"""The oracles agree with one another and with closed forms, so that they can judge the package."""

import numpy as np
import pytest
from scipy import stats

from tests.oracles import Model, effective_draws, gaussian_oracle, mcse
from tests.oracles_general import grid_oracle, sampling_oracle, scale_mixture_oracle


def problem(p, n=15, **settings):
    rng = np.random.default_rng(p)
    X = rng.normal(size=(n, p)) + 1
    X[:, -1] = X[:, -1] * 0.3 + 0.95 * X[:, 0]
    y = 1 + X @ np.ones(p) + rng.normal(size=n)
    prior = [stats.norm(0.5, 0.7)] * p
    return Model(X, y, prior, stats.halfcauchy(0, 2), weights=rng.integers(0, 4, n), **settings)


def agree(one, other, rtol):
    for name in one.marginals:
        a, b = one[name], other[name]
        np.testing.assert_allclose(
            [a.mean, a.sd, a.quantile(0.05), a.quantile(0.95)],
            [b.mean, b.sd, b.quantile(0.05), b.quantile(0.95)],
            rtol=rtol,
            atol=rtol * a.sd,
        )


@pytest.mark.parametrize("settings", [{"intercept": stats.norm(1, 2)}, {}, {"fit_intercept": False}])
@pytest.mark.parametrize("p", [1, 2])
def test_two_quadratures_agree(p, settings):
    model = problem(p, **settings)
    exact, brute = gaussian_oracle(model), grid_oracle(model)
    agree(exact, brute, 3e-6)
    x = np.full(p, 2.0)
    assert exact.predictive(x).logpdf(3.0)[0] == pytest.approx(brute.predictive(x).logpdf(3.0)[0], abs=1e-6)


def test_precision_and_covariance_forms_agree():
    model = problem(3, intercept=stats.norm(1, 2), center=False)
    exact = gaussian_oracle(model, form="precision")
    agree(exact, gaussian_oracle(model, form="covariance"), 1e-10)
    agree(exact, gaussian_oracle(model, nodes=1001), 1e-8)


def within_error(sampled, truth, name):
    assert abs(sampled[name].mean - truth[name].mean) < 4 * sampled[name].mean_error
    assert abs(sampled[name].sd ** 2 - truth[name].sd ** 2) < 4 * sampled[name].variance_error
    for level in (0.05, 0.95):
        below, error = sampled[name].cdf_with_error(truth[name].quantile(level))
        assert abs(below - level) < 4 * error


def test_importance_sampling_agrees_with_quadrature():
    model = problem(3, intercept=stats.norm(1, 2))
    exact, sampled = gaussian_oracle(model), sampling_oracle(model, draws=100_000)
    assert effective_draws(sampled) > 50_000
    for name in exact.marginals:
        within_error(sampled, exact, name)


def test_flat_priors_give_student_t():
    model = Model(*(lambda m: (m.X, m.y))(problem(2)), [None, None], None)
    oracle = gaussian_oracle(model)
    D = np.column_stack([np.ones(15), model.X])
    solution, squares, *_ = np.linalg.lstsq(D, model.y)
    dof = 15 - 3 - 1
    scale = np.sqrt(squares[0] / dof * np.diag(np.linalg.inv(D.T @ D)))
    for name, centre, s in zip(model.names, solution, scale, strict=False):
        assert oracle[name].mean == pytest.approx(centre, rel=1e-10)
        assert oracle[name].quantile(0.95) == pytest.approx(stats.t(dof, centre, s).ppf(0.95), rel=1e-9)
    assert oracle["sigma"].quantile(0.05) == pytest.approx(
        (squares[0] / stats.chi2(dof).ppf(0.95)) ** 0.5, rel=1e-8
    )


@pytest.mark.parametrize(
    "prior", [stats.laplace(0, 0.3), stats.halfnorm(0, 1), stats.cauchy(0, 0.3), stats.t(4, 0, 1)]
)
def test_brute_force_and_importance_sampling_agree_off_the_gaussian_path(prior):
    plain = problem(2)
    model = Model(plain.X, plain.y, [prior, prior], stats.invgamma(3, 0, 2), weights=plain.weights)
    brute, sampled = grid_oracle(model), sampling_oracle(model, draws=100_000)
    for name in brute.marginals:
        within_error(sampled, brute, name)


def test_scale_mixtures_agree_with_brute_force():
    plain = problem(2, n=8, intercept=stats.norm(0, 1))
    prior = [stats.t(4, 0, 0.5), stats.t(3, 0.2, 0.3)]
    model = Model(plain.X, plain.y, prior, stats.halfcauchy(0, 1), plain.intercept)
    brute, sampled = grid_oracle(model), scale_mixture_oracle(model, draws=50_000)
    assert effective_draws(sampled) > 10_000
    for name in brute.marginals:
        within_error(sampled, brute, name)


def test_batch_means():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4, 4000))
    series = np.zeros_like(noise)
    for t in range(1, 4000):
        series[:, t] = 0.5 * series[:, t - 1] + noise[:, t]
    assert mcse(noise) == pytest.approx(1 / np.sqrt(16000), rel=0.2)
    assert mcse(series) == pytest.approx(2 / np.sqrt(16000), rel=0.2)
