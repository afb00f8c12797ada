"""Posteriors under any priors: both targets agree with each other, with Gaussian models and with dense formulas."""

import numpy as np
import pytest
from scipy import stats

from bayesglm.inference import settled
from bayesglm.inference.gaussian import ConditionalGaussian, NotIdentifiedError
from bayesglm.inference.general import sampled_target, unwhiten
from bayesglm.inference.prior_set import StandardisedPriors
from bayesglm.inference.sampling import Settings, run, seed_sequence
from bayesglm.inference.sufficient import summarize
from bayesglm.kernel.gaussian import CorrectedTarget, SummaryTarget
from bayesglm.kernel.positive_priors import PRIORS, HalfCauchy, HalfNormal
from bayesglm.kernel.priors import Cauchy, Flat, Laplace, Normal, StudentT
from bayesglm.kernel.target import AffineTarget
from tests.target_cases import gradient_error, z_scores

pytestmark = pytest.mark.filterwarnings("error")  # what a user would see of a fit

USUAL = StudentT(3.0, 0.2, 0.5)


@pytest.fixture(autouse=True)
def all_digits(monkeypatch):
    """Let targets have the digits that chains do without: what they are is what is tested here."""
    monkeypatch.setattr(settled, "BITS", 60)


class Problem:
    """Data in standardised units and priors of every kind."""

    def __init__(self, coef, *, n=25, p=3, seed=0, intercept=USUAL, shift=True, positive=False):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n, p)) * np.logspace(0, 1, p) + 2.0
        y = X @ np.abs(rng.normal(size=p)) + 3.0 + 3 * rng.normal(size=n)
        self.summary = s = summarize(X, y, intercept=intercept is not None)
        coef = coef if isinstance(coef, list) else [(coef, range(p))]
        bound = tuple(prior.bind(list(index), positive=positive) for prior, index in coef)
        flags = np.full(p, positive)
        for prior, index in coef:
            flags[list(index)] |= prior.positive
        self.priors = StandardisedPriors(
            coef=bound,
            intercept=None if intercept is None else intercept.bind([0]),
            aux={"sigma": HalfNormal(1.0).bind([0])},
            shift=s.x_mean / s.x_unit if shift else np.zeros(p),
            positive=flags,
        )
        self.first = int(intercept is not None)
        self.Z = (X - (s.x_mean if self.first else 0.0)) / s.x_unit
        self.y = (y - (s.y_mean if self.first else 0.0)) / s.y_unit
        self.target, self.likeness = sampled_target(s, self.priors)
        self.k = p + self.first

    def log_density(self, theta, sigma):
        coef = theta[self.first :]
        line = self.Z @ coef + (theta[0] if self.first else 0.0)
        total = stats.norm(line, sigma).logpdf(self.y).sum() + self.priors.sigma.logpdf([sigma])[0]
        total += sum(prior.logpdf(coef[prior.bound[0]]).sum() for prior in self.priors.coef)
        if self.first:
            total += self.priors.intercept.logpdf([theta[0] - self.priors.shift @ coef])[0]
        return total


def log_jacobian(target, q, step=1e-6):
    columns = []
    for unit in np.eye(len(q)):
        up, down = unwhiten(target, None, q + step * unit), unwhiten(target, None, q - step * unit)
        columns.append(np.append(up[0] - down[0], up[1] - down[1]) / (2 * step))
    return np.linalg.slogdet(np.array(columns))[1]


MIXED = [(Laplace(0.1, 0.3), [2]), (Normal(0.5, 0.4), [0]), (Flat(), [1])]
CASES = {name: {"coef": cls()} for name, cls in PRIORS.items()}
CASES |= {
    "normal, positive": {"coef": Normal(0.3, 1.0), "positive": True},
    "flat, positive": {"coef": Flat(), "positive": True},
    "cauchy, positive, at the means": {"coef": Cauchy(), "positive": True, "shift": False},
    "mixed": {"coef": MIXED},
    "mixed, at the means": {"coef": MIXED, "shift": False},
    "mixed with a positive one": {"coef": [*MIXED[1:], (HalfCauchy(0.5), [2])]},
    "no intercept": {"coef": MIXED, "intercept": None, "shift": False},
    "flat intercept": {"coef": StudentT(), "intercept": Flat()},
    "Cauchy intercept": {"coef": Normal(), "intercept": Cauchy(0.0, 2.0)},
    "more columns than rows": {"coef": [(Laplace(0.0, 0.3), range(12))], "n": 6, "p": 12},
    "no columns": {"coef": [], "p": 0},
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_target_is_likelihood_times_prior(name):
    """In the space that is sampled, up to a constant: log density of parameters plus log Jacobian of the map."""
    problem = Problem(**CASES[name])
    target = problem.target
    assert isinstance(target, AffineTarget)
    assert isinstance(target.inner, SummaryTarget if problem.priors.positive.any() else CorrectedTarget)
    rng = np.random.default_rng(1)
    differences = []
    for _ in range(6):
        q = rng.normal(size=problem.k + 1)
        theta, sigma = unwhiten(target, None, q)
        differences.append(target(q)[0] - problem.log_density(theta, sigma) - log_jacobian(target, q))
        assert gradient_error(target, q) < 2e-6
    np.testing.assert_allclose(differences, differences[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", sorted(CASES))
def test_space_is_nearly_standard(name):
    """Close enough that warm-up seldom has to learn a map, and never from far away."""
    problem = Problem(**CASES[name])
    result = run(problem.target, Settings(chains=2, draws=400, tune=0), seed_sequence(3), known_scale=True)
    variance = result.draws.reshape(-1, problem.k + 1).var(axis=0)
    assert np.all((variance > 0.4) & (variance < 2.5))


# -- agreement with the Gaussian route ------------------------------------------------------------------


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("intercept", [Normal(0.3, 0.7), Flat(), None])
def test_normal_priors_give_the_gaussian_target(intercept, shift):
    """Where priors are normal the correction must vanish, values and gradients (a permanent agreement test)."""
    coef = [(Normal(0.2, 0.5), [0, 2]), (Flat(), [1])]
    problem = Problem(coef, intercept=intercept, shift=shift and intercept is not None)
    exact = ConditionalGaussian(problem.summary, problem.priors.gaussian())
    rng = np.random.default_rng(2)
    points = rng.normal(size=(10, problem.k + 1))
    differences = [problem.target(q)[0] - exact.target(q)[0] for q in points]
    np.testing.assert_allclose(differences, differences[0], rtol=1e-9, atol=1e-9)
    for q in points:
        np.testing.assert_allclose(problem.target(q)[1], exact.target(q)[1], rtol=1e-8, atol=1e-8)
        theta, sigma = unwhiten(problem.target, None, q)
        other_theta, other_sigma = exact.unwhiten(q)
        np.testing.assert_allclose(theta, other_theta, rtol=1e-10)
        assert sigma == pytest.approx(other_sigma, rel=1e-12)


@pytest.mark.parametrize("shift", [False, True])
def test_the_plain_target_samples_the_gaussian_posterior(shift):
    """`SummaryTarget` knows nothing of diagonal coordinates: NUTS on it must find the exact moments."""
    problem = Problem(Normal(0.2, 0.5), intercept=Normal(0.3, 0.7), shift=shift, n=40)
    s, priors = problem.summary, problem.priors
    plain = SummaryTarget(
        s.weight, 0.0, s.rss, s.factor, s.rotated, True, priors.shift, np.zeros(3), priors.joint(),
        priors.intercept, priors.sigma,
    )  # fmt: skip
    exact = ConditionalGaussian(s, priors.gaussian())
    mean, variance = exact.conditional(np.array(exact.grid.mode))
    factor = np.diag(np.append(np.sqrt(np.diag((exact.basis * variance) @ exact.basis.T)), exact.grid.sd))
    start = AffineTarget(plain, np.append(exact.basis @ mean, exact.grid.mode), factor)
    result = run(start, Settings(chains=4, draws=2500), seed_sequence(11), known_scale=False)
    theta, sigma = unwhiten(result.target, None, result.draws)
    draws = np.concatenate([theta, np.log(sigma)[..., np.newaxis]], axis=-1)

    z_mean, z_variance = exact.conditional(exact.grid.nodes)
    means = exact.grid.mean(z_mean @ exact.basis.T)
    squares = exact.grid.mean((z_mean @ exact.basis.T) ** 2 + z_variance @ (exact.basis**2).T)
    log_sigma = exact.grid.mean(exact.grid.nodes)
    assert np.all(np.abs(z_scores(draws, np.append(means, log_sigma))) < 4)
    square_sigma = exact.grid.mean(exact.grid.nodes**2)
    assert np.all(np.abs(z_scores(draws**2, np.append(squares, square_sigma))) < 4)
    cross = z_scores(draws[..., :1] * draws[..., 1:2], exact_cross(exact, z_mean, z_variance))
    assert np.all(np.abs(cross) < 4)


def exact_cross(exact, z_mean, z_variance):
    """E[theta_0 theta_1]."""
    first, second = exact.basis[0], exact.basis[1]
    given = (z_mean @ first) * (z_mean @ second) + z_variance @ (first * second)
    return exact.grid.mean(given)


def test_the_two_targets_agree_on_other_priors():
    """One coefficient's posterior, sampled through the corrected target, against a grid over the plain one."""
    problem = Problem(Laplace(0.0, 0.2), p=1, intercept=None, shift=False, n=8)
    s, priors = problem.summary, problem.priors
    plain = SummaryTarget(
        s.weight,
        0.0,
        s.rss,
        s.factor,
        s.rotated,
        False,
        priors.shift,
        np.zeros(1),
        priors.joint(),
        None,
        priors.sigma,
    )
    beta, log_sigma = np.linspace(-0.5, 1.6, 421), np.linspace(-3.0, 2.0, 201)
    values = np.array([[plain([b, x])[0] for x in log_sigma] for b in beta])
    weights = np.exp(values - values.max())
    weights /= weights.sum()
    result = run(problem.target, Settings(chains=4, draws=2500), seed_sequence(12), known_scale=False)
    theta, sigma = unwhiten(result.target, None, result.draws)
    draws = np.stack([theta[..., 0], theta[..., 0] ** 2, np.log(sigma)], axis=-1)
    truth = [weights.sum(1) @ beta, weights.sum(1) @ beta**2, weights.sum(0) @ log_sigma]
    assert np.all(np.abs(z_scores(draws, truth)) < 4)


@pytest.mark.parametrize("prior", [HalfNormal(0.5), HalfCauchy(0.3), Flat(), Normal(-0.5, 0.4)], ids=repr)
def test_positive_coefficients_are_sampled_rightly(prior):
    """A coefficient that the data push below zero, against a grid."""
    rng = np.random.default_rng(13)
    x = rng.normal(size=(10, 1))
    y = -0.3 * x[:, 0] + rng.normal(size=10)
    summary = summarize(x, y, intercept=False)
    priors = StandardisedPriors(
        coef=(prior.bind([0], positive=True),),
        intercept=None,
        aux={"sigma": HalfNormal(1.0).bind([0])},
        shift=np.zeros(1),
        positive=np.array([True]),
    )
    result = run(
        sampled_target(summary, priors)[0],
        Settings(chains=4, draws=2500),
        seed_sequence(14),
        known_scale=False,
    )
    theta, sigma = unwhiten(result.target, None, result.draws)
    assert np.all(theta > 0)
    beta = np.linspace(0.0, 2.5, 1001)[1:]
    log_sigma = np.linspace(-1.5, 1.2, 271)
    b, s = np.meshgrid(beta, np.exp(log_sigma), indexing="ij")
    Z, r = x[:, 0] / summary.x_unit[0], y / summary.y_unit
    squares = r @ r - 2 * b * (Z @ r) + b**2 * (Z @ Z)
    logs = -10 * np.log(s) - 0.5 * squares / s**2 - 0.5 * s**2 + np.log(s)
    logs += priors.coef[0].logpdf(b[..., np.newaxis])[..., 0]
    weights = np.exp(logs - logs.max())
    weights[0] *= 1.5  # the midpoint rule's share of the cell at zero
    weights /= weights.sum()
    draws = np.stack([theta[..., 0], theta[..., 0] ** 2, np.log(sigma)], axis=-1)
    truth = [np.sum(weights * b), np.sum(weights * b**2), np.sum(weights * np.log(s))]
    assert np.all(np.abs(z_scores(draws, truth)) < 4.5)
    assert not result.stats["diverging"].any()


def test_a_coefficient_far_from_zero_does_not_feel_the_bound():
    rng = np.random.default_rng(15)
    X = rng.normal(size=(200, 2))
    y = X @ [3.0, 2.0] + 0.1 * rng.normal(size=200)
    summary = summarize(X, y)

    def priors(positive):
        return StandardisedPriors(
            coef=(Normal(0.0, 10.0).bind([0, 1], positive=positive),),
            intercept=Normal(0.0, 1.0).bind([0]),
            aux={"sigma": HalfNormal(1.0).bind([0])},
            shift=np.zeros(2),
            positive=np.full(2, positive),
        )

    bounded, _ = sampled_target(summary, priors(True))
    result = run(bounded, Settings(chains=2, draws=2000), seed_sequence(16), known_scale=False)
    theta, _ = unwhiten(result.target, None, result.draws)
    exact = ConditionalGaussian(summary, priors(False).gaussian())
    mean = exact.grid.mean(exact.conditional(exact.grid.nodes)[0] @ exact.basis.T)
    assert np.all(np.abs(z_scores(theta, mean)) < 4)
    assert result.stats["n_steps"].mean() < 10


# -- improper posteriors ----------------------------------------------------------------------------------


def test_flat_among_other_priors_needs_data():
    rng = np.random.default_rng(17)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    X[:, 2] = X[:, 0]

    def build(coef):
        bound = tuple(prior.bind(index) for prior, index in coef)
        priors = StandardisedPriors(
            bound, Normal().bind([0]), {"sigma": HalfNormal().bind([0])}, np.zeros(3), np.zeros(3, bool)
        )
        return sampled_target(summarize(X, y), priors)[0]

    with pytest.raises(NotIdentifiedError) as caught:
        build([(Laplace(), [1]), (Flat(), [0, 2])])
    np.testing.assert_array_equal(caught.value.columns, [0, 2])
    build([(Laplace(), [0]), (Flat(), [1, 2])])
