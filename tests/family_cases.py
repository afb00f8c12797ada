"""All families with all their links, auxiliary parameters estimated and given: a new family is one line here."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp

from bayesglm.families import (
    Bernoulli,
    Beta,
    Binomial,
    Family,
    Gamma,
    Gaussian,
    InverseGaussian,
    Laplace,
    NegativeBinomial,
    Poisson,
    StudentT,
)


def log1pexp(x):
    return mp.log1p(mp.exp(x)) if x < 50 else x + mp.log1p(mp.exp(-x))


def log_success(link, eta):
    """Logarithms of the probabilities of a success and of a failure."""
    if link == "logit":
        return -log1pexp(-eta), -log1pexp(eta)
    if link == "probit":
        return mp.log(mp.erfc(-eta / mp.sqrt(2)) / 2), mp.log(mp.erfc(eta / mp.sqrt(2)) / 2)
    return mp.log(-mp.expm1(-mp.exp(eta))), -mp.exp(eta)


def binary(link, y, eta, m):
    success, failure = log_success(link, eta)
    ways = mp.loggamma(m + 1) - mp.loggamma(y + 1) - mp.loggamma(m - y + 1)
    return ways + (y * success if y else 0) + ((m - y) * failure if m - y else 0)


def poisson(y, eta):
    return y * eta - mp.exp(eta) - mp.loggamma(y + 1)


def negative_binomial(y, eta, phi):
    u = eta - mp.log(phi)
    return (
        mp.loggamma(y + phi) - mp.loggamma(phi) - mp.loggamma(y + 1) + y * u - (y + phi) * mp.log1p(mp.exp(u))
    )


def gaussian(y, eta, sigma, se):
    variance = sigma**2 + se**2
    return -(((y - eta) ** 2) / variance + mp.log(2 * mp.pi * variance)) / 2


def student_t(y, eta, sigma, df):
    return (
        mp.loggamma((df + 1) / 2)
        - mp.loggamma(df / 2)
        - mp.log(df * mp.pi) / 2
        - mp.log(sigma)
        - (df + 1) / 2 * mp.log1p(((y - eta) / sigma) ** 2 / df)
    )


def gamma(y, eta, shape):
    return shape * (mp.log(shape) - eta - y * mp.exp(-eta)) + (shape - 1) * mp.log(y) - mp.loggamma(shape)


def inverse_gaussian(y, eta, shape):
    gap = y * mp.exp(-eta) - 1
    return (mp.log(shape / (2 * mp.pi)) - 3 * mp.log(y) - shape * gap**2 / y) / 2


def beta(y, eta, phi):
    mean = 1 / (1 + mp.exp(-eta))
    a, b = mean * phi, phi / (1 + mp.exp(eta))
    return mp.loggamma(phi) - mp.loggamma(a) - mp.loggamma(b) + (a - 1) * mp.log(y) + (b - 1) * mp.log1p(-y)


@dataclass(frozen=True)
class Case:
    """A family, its log density in mpmath as a function of (y, eta, extra, *aux), and points to try it at.

    ``y`` draws responses for linear predictors; ``wide`` is how far linear predictors go at extreme points;
    ``aux`` are ranges of the auxiliary parameters, as powers of ten.
    """

    family: Family
    density: Any
    y: Any
    wide: float
    aux: tuple[tuple[float, float], ...] = ()
    extra: Any = None


def counts(rng, eta):
    return rng.poisson(np.exp(np.clip(eta, -20, 11))).astype(float)


def successes(rng, eta):
    return (rng.random(len(eta)) < 0.5).astype(float)


def trials(rng, n):
    return rng.integers(1, 50, n).astype(float)


def reals(rng, eta):
    return eta + rng.standard_cauchy(len(eta))


def positives(rng, eta):
    return np.exp(np.clip(eta, -30, 30)) * rng.gamma(2.0, 0.5, len(eta))


def shares(rng, eta):
    return np.clip(rng.beta(0.5, 0.5, len(eta)), 1e-12, 1 - 1e-12)


def errors(rng, n):
    return rng.uniform(0.1, 3.0, n)


CASES = {
    **{
        f"bernoulli, {link}": Case(
            Bernoulli(link), lambda y, eta, m, link=link: binary(link, y, eta, mp.mpf(1)), successes, wide
        )
        for link, wide in (("logit", 700.0), ("probit", 35.0), ("cloglog", 5.0))
    },
    **{
        f"binomial, {link}": Case(
            Binomial(link),
            lambda y, eta, m, link=link: binary(link, y, eta, m),
            successes,
            wide,
            extra=trials,
        )
        for link, wide in (("logit", 700.0), ("probit", 35.0), ("cloglog", 5.0))
    },
    "poisson": Case(Poisson(), lambda y, eta, m: poisson(y, eta), counts, 12.0),
    "negative binomial": Case(
        NegativeBinomial(), lambda y, eta, m, phi: negative_binomial(y, eta, phi), counts, 12.0, ((-3, 8),)
    ),
    "negative binomial, phi=3": Case(
        NegativeBinomial(phi=3.0), lambda y, eta, m: negative_binomial(y, eta, mp.mpf(3)), counts, 700.0
    ),
    "gaussian": Case(Gaussian(), lambda y, eta, m, sigma: gaussian(y, eta, sigma, 0), reals, 1e6, ((-3, 3),)),
    "gaussian, standard errors": Case(
        Gaussian(), lambda y, eta, m, sigma: gaussian(y, eta, sigma, m), reals, 1e3, ((-3, 3),), errors
    ),
    "gaussian, sigma=0, standard errors": Case(
        Gaussian(sigma=0.0), lambda y, eta, m: gaussian(y, eta, 0, m), reals, 1e3, (), errors
    ),
    "student t": Case(
        StudentT(), lambda y, eta, m, sigma, df: student_t(y, eta, sigma, df), reals, 1e6, ((-3, 3), (-1, 6))
    ),
    "student t, df=4": Case(
        StudentT(df=4.0), lambda y, eta, m, sigma: student_t(y, eta, sigma, mp.mpf(4)), reals, 1e6, ((-3, 3),)
    ),
    "laplace": Case(
        Laplace(), lambda y, eta, m, scale: -abs(y - eta) / scale - mp.log(2 * scale), reals, 1e6, ((-3, 3),)
    ),
    "gamma": Case(Gamma(), lambda y, eta, m, shape: gamma(y, eta, shape), positives, 100.0, ((-3, 6),)),
    "inverse gaussian": Case(
        InverseGaussian(),
        lambda y, eta, m, shape: inverse_gaussian(y, eta, shape),
        positives,
        25.0,
        ((-3, 6),),
    ),
    "beta": Case(Beta(), lambda y, eta, m, phi: beta(y, eta, phi), shares, 20.0, ((-2, 6),)),
}
