"""Extreme data for every likelihood but the linear model's, and their posteriors by importance sampling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import betaln, expit, gammaln, log_expit, log_ndtr, logit, ndtri


@dataclass(frozen=True)
class Case:
    """A model with one or two predictors or none: family, rows, and what they bring.

    ``settings`` are more arguments of `BayesianGLM`.
    """

    family: str
    x: np.ndarray | None
    y: np.ndarray
    row: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def _log_success(link: str, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if link == "logit":
        return log_expit(eta), log_expit(-eta)
    if link == "probit":
        return log_ndtr(eta), log_ndtr(-eta)
    mean = np.exp(eta)
    return np.where(mean < 1e-8, eta - 0.5 * mean, np.log(-np.expm1(-mean))), -mean


class Oracle:
    """A posterior in the coordinates level, slope, log auxiliary parameter, all relative to the data's own scale.

    The level is the linear predictor at the mean of x and of the offset, less that of a model without predictors; with
    an identity link in units of sd(y). The slope is that of x in units of its standard deviation; two slopes, of
    columns that may be all but equal, are given by their sum and their difference. Everything is from
    the documented definitions of families and priors, written so that nothing large cancels.
    """

    def __init__(self, case: Case):
        self.case, y = case, np.asarray(case.y, dtype=np.longdouble)
        n = len(y)
        w = np.asarray(case.row.get("sample_weight", np.ones(n)), dtype=np.longdouble)
        self.w = w.astype(float)
        x = None if case.x is None else np.asarray(case.x, dtype=np.longdouble)
        offset = np.zeros(n, dtype=np.longdouble) + np.asarray(
            case.row.get("offset", 0.0), dtype=np.longdouble
        )
        offset = offset + np.log(np.asarray(case.row.get("exposure", 1.0), dtype=np.longdouble))
        self.offset_mean = w @ offset / w.sum()
        self.offset = (offset - self.offset_mean).astype(float)
        x = np.zeros((n, 0), dtype=np.longdouble) if x is None else x.reshape(n, -1)
        self.x_mean = w @ x / w.sum()
        sd = np.sqrt(w @ (x - self.x_mean) ** 2 / w.sum())
        # A constant column counts as having the standard deviation 1.
        self.x_sd = np.where(sd > 1e-15 * np.abs(self.x_mean), sd, np.longdouble(1.0))
        self.z = (x - self.x_mean) / self.x_sd
        if len(self.x_sd) == 2:
            self.z = 0.5 * np.column_stack([self.z[:, 0] + self.z[:, 1], self.z[:, 0] - self.z[:, 1]])
        self.z = self.z.astype(float)
        self.unit = np.longdouble(1.0)
        self.link = case.settings.get("link", "logit")
        family, weight = case.family, w
        trials = np.zeros(n) + np.asarray(case.row.get("trials", 1.0))
        if family in ("poisson", "negative_binomial"):
            self.level = np.log((weight @ y + 0.5) / (weight @ np.exp(self.offset)))
        elif family in ("bernoulli", "binomial"):
            rate = float((weight @ y + 0.5) / (weight @ trials + 1.0))
            links = {"logit": logit, "probit": ndtri, "cloglog": lambda p: np.log(-np.log1p(-p))}
            self.level = np.longdouble(links[self.link](rate))
        elif family in ("gamma", "inverse_gaussian"):
            self.level = np.log(weight @ (y * np.exp(-self.offset)) / weight.sum())
            self.mean = weight @ y / weight.sum()
        elif family == "beta":
            rate = float(weight @ y / weight.sum())
            self.level = np.longdouble(logit(rate))
        else:
            mean = weight @ y / weight.sum()
            sd = np.sqrt(weight @ (y - mean) ** 2 / weight.sum())
            self.unit = sd if sd > 0 else np.longdouble(1.0)
            self.offset = (self.offset / self.unit).astype(float)
            order = np.argsort(y)
            middle = 0.5 * (y[order[(n - 1) // 2]] + y[order[n // 2]])
            self.level = mean if family == "gaussian" else middle
        self.y, self.trials = y, trials

    @property
    def names(self) -> list[str]:
        names = ["level", *([], ["slope"], ["sum", "difference"])[self.z.shape[1]]]
        aux = {
            "negative_binomial": "phi",
            "gamma": "shape",
            "inverse_gaussian": "shape",
            "beta": "precision",
            "student_t": "sigma",
            "laplace": "scale",
            "gaussian": "sigma",
        }
        return names + ([aux[self.case.family]] if self.case.family in aux else [])

    def log_density(self, q: np.ndarray) -> np.ndarray:
        """Return the log posterior of points (m, dim) but for a constant."""
        case, slopes = self.case, q[:, 1 : 1 + self.z.shape[1]]
        tau = q[:, -1:]
        near = q[:, :1] + self.offset + slopes @ self.z.T
        eta = near + float(self.level)
        # Of two slopes the squares add up to half those of their sum and difference.
        prior = -0.5 * (q[:, 0] / 2.5) ** 2 - 0.5 * ((slopes / 2.5) ** 2).sum(axis=1) / max(
            1, slopes.shape[1]
        )
        aux = np.exp(np.clip(tau, -600, 600))
        inverse_gamma = (-0.4 * tau - 0.3 / aux)[:, 0]
        half_t = tau[:, 0] - 2.5 * np.log1p(aux[:, 0] ** 2 / 4.0)
        y = self.y.astype(float)
        if case.family == "poisson":
            gap = near - (np.log(np.where(self.y > 0, self.y, 1)) - self.level).astype(float)
            terms = np.where(y > 0, y * (gap - np.expm1(np.minimum(gap, 700))), -np.exp(np.minimum(eta, 700)))
        elif case.family == "negative_binomial":
            u = eta - tau
            terms = y * log_expit(u) + aux * log_expit(-u) - betaln(aux, y + 1) - np.log(y + aux)
            prior = prior + inverse_gamma
        elif case.family in ("bernoulli", "binomial"):
            up, down = _log_success(self.link, eta)
            failures = self.trials - y
            terms = np.where(y > 0, y * up, 0.0) + np.where(failures > 0, failures * down, 0.0)
        elif case.family == "gamma":
            u = (np.log(self.y) - self.level).astype(float) - near
            terms = aux * (tau + u - np.exp(np.minimum(u, 700))) - gammaln(aux)
            prior = prior + inverse_gamma
        elif case.family == "inverse_gaussian":
            own = (self.y / self.mean).astype(float)
            shift = float(np.log(self.mean) - self.level)
            terms = 0.5 * tau - 0.5 * aux * (own * np.exp(np.clip(shift - near, -300, 300)) - 1.0) ** 2 / own
            prior = prior + inverse_gamma
        elif case.family == "beta":
            a, b = expit(eta) * aux, expit(-eta) * aux
            terms = a * np.log(y) + b * np.log1p(-y) - betaln(a, b)
            prior = prior + inverse_gamma
        else:
            gap = ((self.y - self.level) / self.unit).astype(float) - near
            if case.family == "student_t":
                terms = -2.5 * np.log1p(gap**2 / (4.0 * aux**2)) - tau
            elif case.family == "laplace":
                terms = -np.abs(gap) / aux - tau
            else:
                terms = -0.5 * (gap / aux) ** 2 - tau
            prior = prior + half_t
        with np.errstate(invalid="ignore"):
            found = terms @ self.w + prior
        return np.where(np.isfinite(found), found, -np.inf)

    def draws(self, posterior: Any) -> np.ndarray:
        """Return draws in the oracle's coordinates, shape (dim, chains, draws)."""
        names = self.names
        coef = posterior.draws["coef"].astype(np.longdouble)
        level = posterior.draws["Intercept"] + self.offset_mean + (coef * self.x_mean).sum(axis=-1)
        slopes = coef * self.x_sd / self.unit
        if "sum" in names:
            slopes = np.stack([slopes.sum(axis=-1), slopes[..., 0] - slopes[..., 1]], axis=-1)
        found = [(level - self.level) / self.unit, *np.moveaxis(slopes, -1, 0)]
        for name in names[len(found) :]:
            unit = self.mean if self.case.family == "inverse_gaussian" else self.unit
            unit = unit if name in ("sigma", "scale") or self.case.family == "inverse_gaussian" else 1.0
            found.append(np.log(posterior.draws[name].astype(np.longdouble) / unit))
        return np.array(found).astype(float)


RNG = np.random.default_rng(11)
N = 12
Z = RNG.normal(size=N)
ETA = 0.4 + 0.5 * Z
RESPONSES = {
    "poisson": RNG.poisson(np.exp(1 + 0.5 * Z)).astype(float),
    "negative_binomial": RNG.negative_binomial(2.0, 0.3, N).astype(float),
    "bernoulli": (RNG.random(N) < expit(ETA)).astype(float),
    "gamma": np.exp(ETA) * RNG.gamma(3.0, 1 / 3.0, N),
    "inverse_gaussian": RNG.wald(np.exp(ETA), 30.0),
    "beta": RNG.beta(4 * expit(ETA), 4 * expit(-ETA)),
    "student_t": ETA + RNG.standard_t(4.0, N),
    "laplace": ETA + RNG.laplace(size=N),
    "gaussian": ETA + RNG.normal(size=N),
}


def _case(family: str, x: Any = Z, y: Any = None, link: str | None = None, **row: Any) -> Case:
    settings: dict[str, Any] = {} if link is None else {"link": link}
    return Case(family, x, np.asarray(RESPONSES[family] if y is None else y, dtype=float), row, settings)


CASES: dict[str, Case] = {}
for _family in RESPONSES:
    CASES[f"{_family}, column times 1e-12"] = _case(_family, 1e-12 * Z)
    CASES[f"{_family}, column at 1e12"] = _case(_family, 1e12 + Z)
for _family in ("gamma", "inverse_gaussian", "student_t", "laplace", "gaussian"):
    for _power in (-150, 150):
        CASES[f"{_family}, y times 1e{_power}"] = _case(_family, 1e12 * Z, RESPONSES[_family] * 10.0**_power)
NEAR = (1.0 - 1e-12) * Z + np.sqrt(2e-12) * RNG.normal(size=N)
for _family in RESPONSES:
    CASES[f"{_family}, correlation 1 - 1e-12, scales 1e-12 and 1e12"] = _case(
        _family, np.column_stack([1e-12 * Z, 1e12 * NEAR])
    )
for _family in ("bernoulli", "negative_binomial", "laplace"):
    CASES[f"{_family}, a column twice"] = _case(_family, np.column_stack([Z + 1e6, Z + 1e6]))
CASES |= {
    "counts to 1e15, overdispersed": _case(
        "negative_binomial", Z, np.rint(1e15 * np.exp(0.5 * Z) * np.random.default_rng(8).gamma(2.0, 0.5, N))
    ),
    "counts from 0 to 1e15": _case(
        "negative_binomial", Z, np.rint(10.0 ** np.random.default_rng(9).uniform(-1.0, 15.0, N))
    ),
    "counts to 1e15": _case("poisson", Z, np.rint(1e15 * np.exp(1e-8 * Z) + 3e7 * RNG.normal(size=N))),
    "exposures to 1e300": _case("poisson", Z, exposure=1e300 * np.exp(RNG.normal(size=N))),
    "one count, offset 1e8": _case("poisson", None, [3.0], offset=1e8),
    "offsets at 1e8": _case("negative_binomial", Z, offset=1e8 + np.rint(RNG.normal(size=N))),
    "logit, offsets at -1e8": _case("bernoulli", Z, offset=-1e8 + np.rint(RNG.normal(size=N))),
    "gaussian, offsets at 1e12": _case("gaussian", Z, offset=1e12 + np.rint(RNG.normal(size=N))),
    "student t, y at 1e12": _case("student_t", Z, 1e12 + np.rint(100 * RESPONSES["student_t"])),
    "trials of 1e9": _case("binomial", Z, RNG.binomial(10**9, expit(ETA)), trials=1e9),
    "trials of 1e9, one success": _case("binomial", Z, np.arange(N) == 0, trials=1e9),
    "weights to 1e12": _case("bernoulli", Z, sample_weight=1e12 * RNG.random(N)),
    "weights over 24 decades": _case("poisson", Z, sample_weight=10.0 ** np.linspace(-12, 12, N)),
    "weights mostly zero": _case("gamma", Z, sample_weight=(np.arange(N) < 3) * 2.0),
    "no counts": _case("poisson", Z, np.zeros(N)),
    "no counts, overdispersed": _case("negative_binomial", Z, np.zeros(N)),
    "only successes": _case("bernoulli", Z, np.ones(N)),
    "separated": _case("bernoulli", Z, Z > 0),
    "separated, probit": _case("bernoulli", Z, Z > 0, link="probit"),
    "separated, cloglog": _case("bernoulli", Z, Z > 0, link="cloglog"),
    "one row": _case("poisson", Z[:1], [3.0]),
    "a constant column": _case("poisson", np.full(N, 7e11)),
    "one distinct row": _case("poisson", np.full(N, 2.0), np.full(N, 4.0)),
    "shares near 0 and 1": _case("beta", None, [1e-300, 1 - 2.0**-53, 0.5, 0.25, 1e-3, 0.9]),
}
