"""Two thousand columns, and a million rows: against formulas that cost little more than the fit.

Fifty digits would take days here; these posteriors are known to ten, by singular values, or by quadrature around the
mode.
"""

import numpy as np
import pytest
from scipy.special import gammaln, log_expit

from bayesglm import BayesianGLM, BayesianLinearRegression, HalfNormal, Normal
from bayesglm.families import StudentT
from bayesglm.inference.diagnostics import diagnose

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(12)


def linear(y, left, s, right=None):
    """Return means and sds of coefficients of standardised columns, and of sigma, for y of mean 0 and sd 1.

    Given sigma, the singular value decomposition of the columns (``right`` is the identity if left out) makes the
    posterior under N(0, 2.5²) diagonal; log sigma is integrated by trapezoids.
    """
    n = len(y)
    c = left.T @ y
    rest = y @ y - c @ c if len(s) < n - 1 else 0.0
    t = np.linspace(-45.0, 5.0, 2001)
    for _ in range(2):
        sigma2 = np.exp(2.0 * t)[:, np.newaxis]
        spread = sigma2 + (2.5 * s) ** 2  # variance of what the data say in each direction
        log_density = -0.5 * (np.log(spread) + c**2 / spread).sum(axis=1)
        log_density += (
            -0.5 * np.log(2.5**2 + sigma2[:, 0] / n) - (n - 1 - len(s)) * t - 0.5 * rest / sigma2[:, 0]
        )
        log_density += t - 2.5 * np.log1p(sigma2[:, 0] / 4.0)
        weights = np.exp(log_density - log_density.max())
        weights /= weights.sum()
        near = t[weights > 1e-20]
        t = np.linspace(near[0] - 0.03, near[-1] + 0.03, 801) if len(t) > 801 else t
    mean = 2.5**2 * s * c / spread
    shrunk = weights @ mean
    # Of the prior's variance what the data leave; none is lost where they say nothing.
    gone = 2.5**2 - weights @ (2.5**2 * sigma2 / spread)
    moved = mean - shrunk
    if right is not None:
        gone, moved, shrunk = gone @ right**2, moved @ right, shrunk @ right
    sd = np.sqrt(2.5**2 - gone + weights @ moved**2)
    first = weights @ np.exp(t)
    return shrunk, sd, first, np.sqrt(weights @ (np.exp(t) - first) ** 2)


@pytest.mark.parametrize("n", [500, 3000])
def test_two_thousand_columns(n):
    """Scales from 1e-12 to 1e12, offsets of a million scales; two nearly equal ones, or all of them orthogonal."""
    p = 2000
    if n < p:
        Z = RNG.normal(size=(n, p))
        Z[:, 1] = Z[:, 0] + 1e-4 * Z[:, 1]
    else:
        Z = np.sqrt(2.0) * np.cos(np.pi * np.outer(np.arange(n) + 0.5, np.arange(1, p + 1)) / n)
    y = 3.0 + Z[:, :7].sum(axis=1) + RNG.normal(size=n)
    scale = RNG.permutation(np.geomspace(1e-12, 1e12, p))
    X = Z * scale + 1e6 * scale * RNG.integers(-1, 2, p)
    model = BayesianLinearRegression(random_state=0, draws=50).fit(X, y)
    x_mean, y_sd = X.mean(axis=0), y.std()
    if n < p:
        Z = X - x_mean
        Z -= Z.mean(axis=0)  # a mean of 1e6 scales is rounded
        x_sd = np.sqrt((Z**2).mean(axis=0))
        left, s, right = np.linalg.svd(Z / x_sd, full_matrices=False)
        left, s, right, close = left[:, : n - 1], s[: n - 1], right[: n - 1], 1e-8
    else:
        # Offsets have rounded the columns to 1e-10 of themselves.
        left, s, right, x_sd, close = Z / np.sqrt(n), np.full(p, np.sqrt(n)), None, scale, 1e-7
    coef, sd, sigma, sd_sigma = linear((y - y.mean()) / y_sd, left, s, right)
    exact = model.posterior_.exact
    np.testing.assert_array_less(np.abs(exact.mean["coef"] * x_sd / y_sd - coef), close * sd)
    np.testing.assert_allclose(exact.sd["coef"] * x_sd / y_sd, sd, rtol=close)
    np.testing.assert_allclose([model.sigma_ / y_sd, exact.sd["sigma"] / y_sd], [sigma, sd_sigma], rtol=close)
    np.testing.assert_allclose(model.predict(x_mean[np.newaxis]), y.mean(), rtol=1e-8)
    z = (model.posterior_.draws["coef"] * x_sd / y_sd - coef) / sd
    # Draws of a chain lean away from one another: means are better than those of independent draws.
    assert np.abs(z.mean(axis=(0, 1))).max() < 5.5 / np.sqrt(200)
    assert 0.93 < np.mean(z**2) < 1.07


def quadrature(log_density, start):
    """Return means and sds by Gauss-Hermite points around the mode, where the posterior is all but normal."""
    q, dim, step = np.array(start), len(start), 1e-3
    eye = step * np.eye(dim)
    for _ in range(12):
        at = log_density(q)
        up, down = ([log_density(q + sign * e) for e in eye] for sign in (1, -1))
        slope = (np.array(up) - down) / (2 * step)
        curve = np.diag((np.array(up) + down - 2 * at) / step**2)
        for i in range(dim):
            for j in range(i):
                both = log_density(q + eye[i] + eye[j]) - up[i] - up[j] + at
                curve[i, j] = curve[j, i] = both / step**2
        move = np.linalg.solve(-curve, slope)
        q = q + move
        if np.abs(move).max() < 1e-7:
            break
    factor = np.linalg.cholesky(np.linalg.inv(-curve))
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    grid = np.array(np.meshgrid(*[nodes] * dim)).reshape(dim, -1).T
    weights = np.prod(np.array(np.meshgrid(*[weights] * dim)).reshape(dim, -1), axis=0)
    points = q + grid @ factor.T
    logs = np.array([log_density(point) for point in points]) + 0.5 * (grid**2).sum(axis=1)
    weights = weights * np.exp(logs - logs.max())
    weights /= weights.sum()
    mean = weights @ points
    return mean, np.sqrt(weights @ (points - mean) ** 2)


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_a_million_rows(family):
    """A column of scale 1e-6 at 1e3: 1e9 scales away."""
    n = 1_000_000
    x = 1e3 + 1e-6 * RNG.normal(size=n)
    mean = x.mean() + (x - x.mean()).mean()
    z = (x - mean) / np.sqrt(np.mean((x - mean) ** 2))
    eta = -1.0 + 0.5 * z
    y = (
        RNG.random(n) < 1 / (1 + np.exp(-eta)) if family == "bernoulli" else RNG.poisson(np.exp(eta))
    ).astype(float)
    total, product = y.sum(), y @ z
    rate = (total + 0.5) / (n + 1.0)
    level = np.log(rate / (1 - rate)) if family == "bernoulli" else np.log((total + 0.5) / n)

    def log_density(q):
        # The canonical parameter times its statistic, less what all rows' densities are normalised by.
        at = level + q[0] + q[1] * z
        normal = -log_expit(-at).sum() if family == "bernoulli" else np.exp(at).sum()
        return total * (level + q[0]) + product * q[1] - normal - 0.5 * (q / 2.5) @ (q / 2.5)

    expected, sd = quadrature(log_density, np.zeros(2))
    model = BayesianGLM(family=family, random_state=0, draws=250).fit(x[:, np.newaxis], y)
    draws = model.posterior_.draws
    coef = draws["coef"][..., 0].astype(np.longdouble)
    found = np.array([draws["Intercept"] + coef * mean - level, coef * np.std(x - mean)]).astype(float)
    z_scores = (found.mean(axis=(1, 2)) - expected) / (sd / np.sqrt(1000))
    assert np.abs(z_scores).max() < 4.5, z_scores
    np.testing.assert_allclose(found.std(axis=(1, 2)), sd, rtol=0.12)


@pytest.mark.parametrize("family", ["gamma", "negative_binomial", "student_t"])
def test_a_million_rows_with_one_more_parameter(family):
    """Level, slope of a standardised predictor, and the logarithm of shape, phi or sigma."""
    n = 1_000_000
    rng = np.random.default_rng(13)
    z = rng.normal(size=n)
    z = (z - z.mean()) / z.std()
    mu = np.exp(0.4 + 0.3 * z)
    if family == "gamma":
        likelihood, name, y = "gamma", "shape", rng.gamma(2.5, mu / 2.5)
        log_y = np.log(y).sum()
    elif family == "negative_binomial":
        likelihood, name, y = "negative_binomial", "phi", rng.negative_binomial(2.5, 2.5 / (2.5 + mu)) * 1.0
        counts, often = np.unique(y, return_counts=True)
    else:
        likelihood, name, y = StudentT(df=4.0), "sigma", 0.4 + 0.3 * z + 0.5 * rng.standard_t(4.0, size=n)
    total, product = y.sum(), y @ z

    def log_density(q):
        eta, own = q[0] + q[1] * z, np.exp(q[2])
        if family == "gamma":
            value = n * (own * q[2] - gammaln(own)) + own * log_y - own * (n * q[0] + y @ np.exp(-eta))
        elif family == "negative_binomial":
            value = (
                often @ (gammaln(counts + own) - gammaln(own))
                + n * own * q[2]
                + q[0] * total
                + q[1] * product
            )
            value -= (y + own) @ np.log(np.exp(eta) + own)
        else:
            value = -2.5 * np.log1p((y - eta) ** 2 / (4.0 * own**2)).sum() - n * q[2]
        return value - 0.5 * (q[:2] / 2.5) @ (q[:2] / 2.5) - 0.5 * (own / 3.0) ** 2 + q[2]

    model = BayesianGLM(
        family=likelihood,
        prior=Normal(0.0, 2.5),
        intercept_prior=Normal(0.0, 2.5),
        aux_priors={name: HalfNormal(3.0)},
        random_state=0,
        draws=250,
    ).fit(z[:, np.newaxis], y)
    draws = model.posterior_.draws
    found = np.array([draws["Intercept"], draws["coef"][..., 0], np.log(draws[name])])
    expected, sd = quadrature(log_density, found.mean(axis=(1, 2)).round(2))
    z_scores = (found.mean(axis=(1, 2)) - expected) / (sd / np.sqrt(1000))
    assert np.abs(z_scores).max() < 4.5, z_scores
    np.testing.assert_allclose(found.std(axis=(1, 2)), sd, rtol=0.12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_two_thousand_groups():
    """Counts of 2,000 groups without an intercept: each coefficient has a posterior of its own, by quadrature."""
    p = 2000
    group = np.repeat(np.arange(p), 2)
    y = RNG.poisson(np.exp(RNG.normal(size=p))[group]).astype(float)
    model = BayesianGLM(
        family="poisson", fit_intercept=False, prior=Normal(0, 1), random_state=0, draws=100, tune=100
    )
    model.fit(np.eye(p)[group], y)
    b = np.linspace(-8.0, 8.0, 2001)
    logs = y.reshape(p, 2).sum(axis=1)[:, np.newaxis] * b - 2.0 * np.exp(b) - 0.5 * b**2
    density = np.exp(logs - logs.max(axis=1, keepdims=True))
    density /= density.sum(axis=1, keepdims=True)
    mean = density @ b
    z = (model.posterior_.draws["coef"] - mean) / np.sqrt(density @ b**2 - mean**2)
    # 800,000 draws of numbers of mean 0 and variance 1, and the worst of 2,000 means of 400.
    assert model.posterior_.how == "nuts"
    assert abs(np.mean(z)) < 0.01
    assert 0.98 < np.mean(z**2) < 1.02
    assert np.abs(z.mean(axis=(0, 1))).max() < 5.0 / np.sqrt(400)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("family", "width", "n"), [("bernoulli", 112.0, 250), ("poisson", 1.0, 500)])
def test_two_thousand_columns_of_any_likelihood(family, width, n):
    """Rows at right angles: linear predictors have posteriors of their own, by quadrature, and coefficients by sums.

    With 112 for the standard deviation of a linear predictor (default priors of 2,000 columns) classes are separated.
    """
    p, scale, loc = 2000, 0.8, 0.1
    rng = np.random.default_rng(5)
    rows = np.sqrt(2.0 / p) * np.cos(np.pi * np.outer(np.arange(1, n + 1), np.arange(p) + 0.5) / p)
    X = width / scale * rows
    level = loc * X.sum(axis=1)
    eta = level + width * rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-eta)) if family == "bernoulli" else rng.poisson(np.exp(eta))) * 1.0
    model = BayesianGLM(
        family=family, fit_intercept=False, prior=Normal(loc, scale), random_state=0, draws=150
    )
    model.fit(X, y)
    v = np.linspace(-7.0, 7.0, 20_001)
    at = level[:, np.newaxis] + width * v
    if family == "bernoulli":
        logs = log_expit((2.0 * y[:, np.newaxis] - 1.0) * at) - 0.5 * v**2
    else:
        logs = y[:, np.newaxis] * at - np.exp(at) - 0.5 * v**2
    density = np.exp(logs - logs.max(axis=1, keepdims=True))
    density /= density.sum(axis=1, keepdims=True)
    mean = density @ v
    variance = density @ v**2 - mean**2
    draws = model.posterior_.draws["coef"]
    for found, expected, sd in (
        ((draws - loc) / scale @ rows.T, mean, np.sqrt(variance)),
        (draws, loc + scale * mean @ rows, scale * np.sqrt(1.0 - (1.0 - variance) @ rows**2)),
    ):
        ess = diagnose(np.moveaxis(found, -1, 0), 1).ess_bulk
        z = (found - expected) / sd
        assert np.abs(z.mean(axis=(0, 1)) * np.sqrt(ess)).max() < 4.8
        assert 0.98 < np.mean(z**2) < 1.02
