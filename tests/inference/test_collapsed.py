"""A learned scale: against quadrature over sigma and it, against the joint posterior, wherever the data stand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesglm
from bayesglm import BayesianLinearRegression, BayesianPoissonRegressor, Normal
from bayesglm.kernel.collapsed import CollapsedTarget
from bayesglm.kernel.positive_priors import HalfNormal, HalfStudentT

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, P = 40, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, P)) * [1.0, 5.0, 0.2, 1.0] + [0.0, 3.0, 1.0, 0.0]
Y = 2.0 + X @ [0.5, 0.0, -2.0, 0.1] + RNG.normal(size=N)
FRAME = pd.DataFrame(X, columns=list("abcd")).assign(
    y=Y, g=RNG.choice(list("uvwxyz"), N), k=RNG.poisson(np.exp(0.3 * X[:, 0]))
)


def test_the_gradient():
    target = CollapsedTarget(
        20.0,
        7.0,
        [3.0, 1.0, 0.1],
        [2.0, -1.0, 0.5],
        HalfNormal(1.0).bind([0]),
        HalfStudentT().bind([0]),
        True,
        0.4,
        2.0,
    )
    for q in np.random.default_rng(1).normal(size=(20, 2)):
        value, gradient = target(q)
        for i, step in enumerate(1e-6 * np.eye(2)):
            slope = (target(q + step)[0] - target(q - step)[0]) / 2e-6
            assert gradient[i] == pytest.approx(slope, rel=1e-6, abs=1e-7)
        assert target.clone()(q)[0] == value


def quadrature():
    """Posterior means of coefficients, sigma and scale by a grid over the latter two, straight from the model."""
    unit, Z, y = Y.std() / X.std(axis=0), X - X.mean(axis=0), Y - Y.mean()
    values, vectors = np.linalg.eigh((Z * unit) @ (Z * unit).T)
    seen = (vectors.T @ y) ** 2
    log_sigma, log_scale = np.linspace(-1.5, 1.5, 121), np.linspace(-7.0, 4.0, 201)
    logs, coef = np.empty((121, 201)), np.empty((121, 201, P))
    of_sigma = stats.t(4).logpdf(np.exp(log_sigma) / Y.std()) + log_sigma
    of_scale = stats.t(4).logpdf(np.exp(log_scale) / 2.5) + log_scale
    for i, s in enumerate(np.exp(log_sigma)):
        for j, scale in enumerate(np.exp(log_scale)):
            variance = s**2 + scale**2 * np.clip(values, 0.0, None)
            # The mean of y is one of the n directions and has the intercept's prior instead.
            logs[i, j] = -0.5 * np.sum(np.log(variance) + seen / variance) + np.log(s)
            logs[i, j] -= 0.5 * np.log((2.5 * Y.std()) ** 2 + s**2 / N)
            logs[i, j] += of_sigma[i] + of_scale[j]
            A = Z * unit
            coef[i, j] = unit * np.linalg.solve(A.T @ A + (s / scale) ** 2 * np.eye(P), A.T @ y)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    return (
        (weights[..., np.newaxis] * coef).sum(axis=(0, 1)),
        weights.sum(axis=1) @ np.exp(log_sigma),
        weights.sum(axis=0) @ np.exp(log_scale),
    )


def test_means_are_those_of_quadrature():
    model = BayesianLinearRegression(prior_scale="learn", draws=4000, random_state=0).fit(X, Y)
    posterior = model.posterior_
    assert posterior.how == "collapsed"
    coef, sigma, scale = quadrature()
    found = np.append(model.coef_, [model.sigma_, posterior.draws["prior_scale"].mean()])
    z = (found - np.append(coef, [sigma, scale])) / posterior.diagnostics.mcse_mean[1:]
    assert np.abs(z).max() < 4.0


def test_it_agrees_with_joint_sampling():
    """With the intercept's prior at zero coefficients do not integrate out, and NUTS walks them all."""
    settings = {"prior_scale": "learn", "draws": 3000, "random_state": 1, "intercept_prior": Normal(0.0, 1e4)}
    collapsed = BayesianLinearRegression(**settings).fit(X, Y).posterior_
    joint = BayesianLinearRegression(center=False, **settings).fit(X, Y).posterior_
    assert (collapsed.how, joint.how) == ("collapsed", "nuts")
    for name in ("coef", "sigma", "prior_scale"):
        a, b = (
            np.log(np.abs(one.draws[name])) if name != "coef" else one.draws[name]
            for one in (collapsed, joint)
        )
        gap = a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))
        error = np.sqrt(a.var(axis=(0, 1)) / 3000 + b.var(axis=(0, 1)) / 3000)
        assert np.all(np.abs(gap) < 4.0 * error), name


@pytest.mark.parametrize(("n", "p"), [(6, 1), (8, 2), (30, 60), (200, 3), (5, 3)])
@pytest.mark.parametrize("size", [0.0, 0.1, 3.0])
def test_no_funnel_wherever_the_data_stand(n, p, size):
    rng = np.random.default_rng(n + p)
    rows = rng.normal(size=(n, p))
    y = rows @ (size * rng.normal(size=p)) + rng.normal(size=n)
    posterior = BayesianLinearRegression(prior_scale="learn", random_state=0).fit(rows, y).posterior_
    assert posterior.n_divergences == 0
    assert posterior.diagnostics.rhat.max() < 1.02


@pytest.mark.parametrize("way", ["learn", "learn by term"])
@pytest.mark.parametrize("kind", [BayesianLinearRegression, BayesianPoissonRegressor])
def test_scales_of_terms_and_of_other_likelihoods(kind, way, tmp_path):
    response = "y" if kind is BayesianLinearRegression else "k"
    model = kind(f"{response} ~ a + b + C(g)", prior_scale=way, random_state=0, draws=500).fit(FRAME)
    posterior = model.posterior_
    terms = 3 if way == "learn by term" else 1
    assert posterior.draws["prior_scale"].shape == ((4, 500, 3) if terms == 3 else (4, 500))
    assert [name for name in posterior.names if name.startswith("prior_scale")] == (
        ["prior_scale[C(g)]", "prior_scale[a]", "prior_scale[b]"] if terms == 3 else ["prior_scale"]
    )
    assert posterior.n_divergences <= 5
    assert "prior_scale ~ HalfStudentT(df=4, scale=2.5)" in str(model.summary())
    found = model.to_arviz(FRAME, prior=True)
    assert found["prior"]["prior_scale"].shape == posterior.draws["prior_scale"].shape
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(bayesglm.load(tmp_path / "model").predict(FRAME), model.predict(FRAME))
    assert model.sample_posterior(draws=7)["posterior"]["coef"].shape[:2] == (4, 7)


def test_going_on_from_a_file(tmp_path):
    model = BayesianLinearRegression(prior_scale="learn", random_state=0, draws=100).fit(X, Y)
    model.save(tmp_path / "model")
    twin = bayesglm.load(tmp_path / "model")
    one, two = (m.sample_posterior(draws=50)["posterior"]["coef"].to_numpy() for m in (model, twin))
    np.testing.assert_array_equal(one, two)
    assert np.any(one != model.posterior_.draws["coef"][:, :50])


def test_without_predictors_there_is_nothing_to_learn():
    model = BayesianLinearRegression("y ~ 1", prior_scale="learn", random_state=0).fit(FRAME)
    assert "prior_scale" not in model.posterior_.draws


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"prior_scale": "learn", "prior": "laplace"}, "leave prior='laplace' out"),
        ({"prior_scale": "learn by term"}, "needs a formula"),
        ({"prior_scale": "learn", "positive": True}, "positive=True cannot go with it"),
    ],
)
def test_what_is_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        BayesianLinearRegression(**settings).fit(X, Y)
