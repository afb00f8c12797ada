"""Log densities, scores and curvatures of every family against mpmath, at ordinary and at extreme points."""

import numpy as np
import pytest
from mpmath import mp
from scipy.special import logsumexp

from bayesglm.families import (
    FAMILIES,
    Bernoulli,
    Categorical,
    Gaussian,
    NegativeBinomial,
    Poisson,
    resolve_family,
)
from tests.family_cases import CASES

RANDOM, EXTREME = 200, 20


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(60):
        yield


def points(case, extreme):
    """Linear predictors, responses, extra columns and auxiliary parameters, all of a case."""
    rng = np.random.default_rng(3 if extreme else 2)
    n = EXTREME if extreme else RANDOM
    eta = rng.uniform(-case.wide, case.wide, n) if extreme else rng.normal(scale=2.0, size=n)
    extra = None if case.extra is None else case.extra(rng, n)
    y = case.y(rng, eta)
    if case.family.extra == "trials":
        y = np.floor(rng.random(n) * (extra + 1.0))
    aux = [10.0 ** (rng.uniform(*ends, n) if extreme else rng.uniform(-1, 1, n)) for ends in case.aux]
    return eta, y, extra, np.array(aux).reshape(len(case.aux), n)


def row(values, i):
    return None if values is None else values[i : i + 1]


def exact(case, y, eta, extra, aux):
    m = mp.mpf(0) if extra is None else mp.mpf(float(extra[0]))
    return case.density(mp.mpf(float(y[0])), mp.mpf(eta), m, *(mp.mpf(a) for a in aux))


@pytest.mark.parametrize("extreme", [False, True], ids=["random", "extreme"])
@pytest.mark.parametrize("name", CASES)
def test_density_and_derivatives(name, extreme):
    case = CASES[name]
    eta, y, extra, aux = points(case, extreme)
    for i in range(len(eta)):
        y_, extra_, at = row(y, i), row(extra, i), [float(a) for a in aux[:, i]]
        value, score, slopes = case.family.loglik_and_score(y_, eta[i : i + 1], at, extra=extra_)
        again, _ = case.family.value_and_curvature(y_, eta[i : i + 1], at, extra=extra_)
        assert again == pytest.approx(value, rel=1e-14)

        def density(*q, y_=y_, extra_=extra_):
            return exact(case, y_, q[0], extra_, q[1:])

        q = [mp.mpf(float(eta[i])), *map(mp.mpf, at)]
        true = float(density(*q))
        # A density is a sum of terms, and is as exact as the largest of them can be.
        size = abs(true) + abs(float(q[0])) * (1.0 + abs(y_[0])) + sum(at) + 10.0
        assert abs(value - true) < 1e-12 * size
        for j, found in enumerate([score[0], *slopes]):
            h = mp.mpf(10) ** -20 * max(1, abs(q[j])) if j == 0 else q[j] * mp.mpf(10) ** -20
            up, down = ([*q[:j], q[j] + s * h, *q[j + 1 :]] for s in (1, -1))
            slope = float((density(*up) - density(*down)) / (2 * h))
            terms = abs(slope) + (1.0 + size) * (1.0 if j == 0 else 1.0 / min(1.0, at[j - 1])) * 1e-3
            assert abs(found - slope) < 1e-11 * terms + 1e-300, (name, i, j, found, slope)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.family.log_concave])
def test_curvature_is_the_second_derivative(name):
    case = CASES[name]
    eta, y, extra, aux = points(case, False)
    for i in range(0, len(eta), 4):
        y_, extra_, at = row(y, i), row(extra, i), [float(a) for a in aux[:, i]]
        _, found = case.family.value_and_curvature(y_, eta[i : i + 1], at, extra=extra_)
        h = mp.mpf(10) ** -15
        around = [exact(case, y_, mp.mpf(float(eta[i])) + s * h, extra_, at) for s in (-1, 0, 1)]
        true = -float((around[0] - 2 * around[1] + around[2]) / h**2)
        if name == "laplace":  # a kink has none; Fisher's information stands in
            true = 1.0 / at[0] ** 2
        assert found[0] == pytest.approx(true, rel=1e-9, abs=1e-12)
        assert found[0] >= 0.0


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.family.log_concave])
def test_curvature_is_fishers_information(name):
    """The variance of the score over responses drawn from the family itself."""
    case, rng, n = CASES[name], np.random.default_rng(4), 200_000
    aux = dict.fromkeys(case.family.aux, 2.5)
    for eta in (-1.0, 0.7):
        y = case.family.draw(rng, np.full(n, eta), aux)
        y = np.clip(y, 1e-300, 1 - 1e-16) if name == "beta" else y
        _, score, _ = case.family.loglik_and_score(y, np.full(n, eta), list(aux.values()))
        _, found = case.family.value_and_curvature(y[:1], np.array([eta]), list(aux.values()))
        z = (score**2 - found[0]).mean() / ((score**2).std() / np.sqrt(n))
        assert abs(z) < 4.0
        assert abs(score.mean()) < 4.0 * score.std() / np.sqrt(n)


@pytest.mark.parametrize("eta", [-1e8, -1e4, -1000.5, -999.5, -400.0])
def test_curvature_of_probit_rows_far_out(eta):
    """-(log Phi)'' = 1 - 1/eta² + 6/eta⁴ - 50/eta⁶ + ..., from Mills' ratio."""
    _, found = Bernoulli("probit").value_and_curvature(np.ones(1), np.array([eta]))
    t = 1.0 / mp.mpf(eta) ** 2
    assert found[0] == pytest.approx(float(1 - t + 6 * t**2 - 50 * t**3), rel=2e-10)


@pytest.mark.parametrize("eta", [-800.0, -360.0, -40.0, 0.3, 40.0, 360.0, 800.0])
@pytest.mark.parametrize("phi", [1e-3, 3.0, 1e8])
def test_curvature_of_beta_rows(eta, phi):
    """Fisher's information (phi m (1 - m))² (psi'(phi m) + psi'(phi (1 - m))), also where trigamma overflows."""
    m, rest = 1 / (1 + mp.exp(-eta)), 1 / (1 + mp.exp(eta))
    true = (phi * m * rest) ** 2 * (mp.psi(1, phi * m) + mp.psi(1, phi * rest))
    _, found = CASES["beta"].family.value_and_curvature(np.array([0.3]), np.array([eta]), [phi])
    assert found[0] == pytest.approx(float(true), rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_weights_multiply(name):
    case = CASES[name]
    eta, y, extra, _ = points(case, False)
    at, w = [1.3 for _ in case.aux], np.random.default_rng(5).integers(0, 4, len(eta)).astype(float)
    weighted = case.family.loglik_and_score(y, eta, at, weight=w, extra=extra)
    times = np.repeat(np.arange(len(eta)), w.astype(int))
    repeated = case.family.loglik_and_score(
        y[times], eta[times], at, extra=None if extra is None else extra[times]
    )
    assert weighted[0] == pytest.approx(repeated[0], rel=1e-12)
    np.testing.assert_allclose(weighted[2], repeated[2], rtol=1e-10)
    plain = case.family.loglik_and_score(y, eta, at, extra=extra)
    np.testing.assert_allclose(weighted[1], w * plain[1], rtol=1e-12, atol=1e-300)
    curvature = case.family.value_and_curvature(y, eta, at, weight=w, extra=extra)[1]
    bare = case.family.value_and_curvature(y, eta, at, extra=extra)[1]
    np.testing.assert_allclose(curvature, w * bare, rtol=1e-12)


def test_classes():
    rng = np.random.default_rng(6)
    family, n = Categorical(4), 50
    eta, y, w = (
        rng.normal(scale=3.0, size=(4, n)),
        rng.integers(0, 4, n).astype(float),
        rng.uniform(0.5, 2, n),
    )
    value, score, _ = family.loglik_and_score(y, eta, weight=w)
    logs = eta - logsumexp(eta, axis=0)
    assert value == pytest.approx(float(w @ logs[y.astype(int), np.arange(n)]), rel=1e-13)
    expected = w * ((y == np.arange(4)[:, None]) - np.exp(logs))
    np.testing.assert_allclose(score, expected, rtol=1e-11, atol=1e-14)
    far = eta + 1e5 * rng.normal(size=n)  # the same added to all of a row
    np.testing.assert_allclose(family.loglik_and_score(y, far, weight=w)[1], score, rtol=1e-8, atol=1e-9)
    found, curvature = family.value_and_curvature(y, eta, weight=w)
    assert found == pytest.approx(value, rel=1e-14)
    p = np.exp(logs)
    rows = w * (np.eye(4)[:, :, None] * p - p * p[:, None])
    np.testing.assert_allclose(curvature.reshape(4, 4, n), rows, rtol=1e-11, atol=1e-14)
    two, plain = Categorical(2), Bernoulli()
    b = (y > 1).astype(float)
    assert two.loglik_and_score(b, np.vstack([np.zeros(n), eta[0]]))[0] == pytest.approx(
        plain.loglik_and_score(b, eta[0])[0], rel=1e-13
    )


@pytest.mark.parametrize("family", [Bernoulli(), Poisson(), NegativeBinomial()], ids=repr)
def test_overflow_is_a_density_of_zero_and_never_a_number(family):
    """Where the likelihood is nothing the value says so: the chain stops there."""
    at = [1.0] * len(family.aux)
    with np.errstate(all="ignore"):
        value = family.loglik_and_score(np.ones(1), np.array([1e308]), at)[0]
        assert value in (0.0, -np.inf) or np.isnan(value) or value < -1e300
        assert not family.loglik_and_score(np.ones(1), np.array([np.nan]), at)[0] > -np.inf


@pytest.mark.parametrize(
    ("family", "y", "match"),
    [
        ("bernoulli", [0.0, 2.0], "row 1 has 2"),
        ("poisson", [1.0, -1.0], "row 1 has -1"),
        ("negative_binomial", [-0.5], "row 0 has -0.5"),
        ("gamma", [1.0, 0.0], "row 1 has 0"),
        ("inverse_gaussian", [-1.0], "row 0 has -1"),
        ("beta", [0.5, 1.0], "row 1 has 1"),
        ("binomial", [1.0], "trials is missing"),
    ],
)
def test_responses_that_a_family_cannot_have(family, y, match):
    with pytest.raises(ValueError, match=match):
        FAMILIES[family]().check_response(np.array(y))


def test_families_by_name():
    assert resolve_family("poisson") == Poisson()
    assert resolve_family("bernoulli", "probit") == Bernoulli("probit")
    given = NegativeBinomial(phi=2.0)
    assert resolve_family(given) == given
    assert resolve_family(given) is not given
    for family, error, match in (
        ("poison", ValueError, "did you mean 'poisson'"),
        (Poisson, TypeError, "write Poisson"),
        (3, TypeError, "got 3"),
        (Gaussian(sigma=-1.0), ValueError, "sigma must be"),
        (Categorical(3), ValueError, "BayesianLogisticRegression"),
    ):
        with pytest.raises(error, match=match):
            resolve_family(family)
    with pytest.raises(ValueError, match="Poisson family takes, but 'log'"):
        resolve_family("poisson", "logit")
