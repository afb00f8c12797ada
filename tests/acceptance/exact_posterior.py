"""Posterior moments of linear regression to fifty digits: the data exactly as the doubles they are, in mpmath.

For normal or flat priors on the coefficients and any prior on sigma. Sums over rows are sums of integers, so that
nothing is rounded; one generalised eigenproblem of the cross-products, at 220 digits, makes the posterior given
sigma diagonal; and log sigma is integrated by the trapezoid rule at 50 digits. The scales of priors with
``autoscale`` are computed here too, from their definition in docs/priors.md. Nothing here knows how the package
works.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
from mpmath import mp, mpf

#: Digits of linear algebra: cross-products of columns of scales 1e-12 and 1e12 with offsets of 1e12 condition 1e100.
DIGITS = 220
#: Digits of the integrals over sigma.
NODE_DIGITS = 50
#: Log densities this far below the maximum are left out: e^-70 = 4e-31.
DROP = 70

LogDensity = Callable[[Any], Any]


def half_t(df: float, scale: Any) -> LogDensity:
    """Return the log density of a half-Student-t, up to a constant."""
    return lambda sigma: -(mpf(df) + 1) / 2 * mp.log1p((sigma / scale) ** 2 / df)


def half_normal(scale: Any) -> LogDensity:
    """Return the log density of a half-normal, up to a constant."""
    return lambda sigma: -((sigma / scale) ** 2) / 2


def exponential(scale: Any) -> LogDensity:
    """Return the log density of an exponential, up to a constant."""
    return lambda sigma: -sigma / scale


def flat(scale: Any) -> LogDensity:
    """Return the log density of a flat prior."""
    return lambda sigma: mpf(0)


def integers(column: np.ndarray) -> tuple[np.ndarray, int]:
    """Return Python integers m and an exponent e with column = m 2**e, exactly."""
    mantissas, exponents = np.frexp(np.asarray(column, dtype=np.float64))
    whole = (mantissas * 2.0**53).astype(np.int64)
    used = whole != 0
    least = int(exponents[used].min()) if used.any() else 0
    shifts = np.where(used, exponents - least, 0)
    return np.array([int(m) << int(s) for m, s in zip(whole, shifts, strict=True)], dtype=object), least - 53


def exact_products(columns: list[np.ndarray], weights: np.ndarray | None) -> mpmath.matrix:
    """Return the weighted cross-products of columns, all digits of them."""
    numbers = [integers(column) for column in columns]
    counts, power = (None, 0) if weights is None else integers(weights)
    found = mp.matrix(len(columns))
    for i, (a, e) in enumerate(numbers):
        heavy = a if counts is None else a * counts
        for j in range(i, len(numbers)):
            b, f = numbers[j]
            found[i, j] = found[j, i] = mp.ldexp(mpf(int(heavy @ b)), e + f + power)
    return found


@dataclass
class ExactModel:
    """A model and its data; a prior is (loc, scale), or None for a flat one, or "default" for the default one.

    Attributes
    ----------
    sigma : callable
        From the scale that ``autoscale`` gives it to the log density of the prior.
    precision : bool
        Whether weights are precisions.
    """

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None = None
    coef: Any = "default"
    intercept: Any = "default"
    sigma: Callable[[Any], LogDensity] = lambda scale: half_t(4, scale)
    fit_intercept: bool = True
    center: bool = True
    precision: bool = False
    scale: float = 2.5
    products: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        with mp.workdps(DIGITS):
            if self.products is None:
                X = np.asarray(self.X, dtype=np.float64)
                columns = [np.ones(len(X)), *X.T, np.asarray(self.y, dtype=np.float64)]
                self.products = exact_products(columns, self.weights)
            total = self.products[0, 0]
            size = self.products.rows
            means = [self.products[0, j] / total for j in range(size)]
            squares = [self.products[j, j] / total - means[j] ** 2 for j in range(size)]
            # Constant columns, and what the definition says of them: sd 1.
            self.sds = [mp.sqrt(s) if s > 0 else mpf(1) for s in squares[1:]]
            self.means = means[1:]
            self.total = total
            rows = len(self.y) if self.weights is None else int(np.count_nonzero(self.weights))
            self.count = mpf(rows) if self.precision else total
            p = size - 2
            sd_y = self.sds[-1]
            if self.coef == "default":
                self.coef = [(mpf(0), mpf(self.scale) * sd_y / self.sds[j]) for j in range(p)]
            elif self.coef is None or isinstance(self.coef, tuple):
                self.coef = [self.coef] * p
            if self.intercept == "default":
                self.intercept = (self.means[-1], mpf(2.5) * sd_y)
            # What sigma, the noise of a row of weight 1, is measured in.
            self.unit = sd_y * mp.sqrt(total / self.count)
            self.log_sigma_prior = self.sigma(self.unit)


class ExactPosterior:
    """The posterior of an `ExactModel`: every number an mpf.

    Attributes
    ----------
    mean, sd : dict
        Of ``Intercept`` (at x = 0), ``coef`` (lists) and ``sigma``.
    """

    def __init__(self, model: ExactModel):
        self.model = model
        with mp.workdps(DIGITS):
            self._diagonalise()
        with mp.workdps(NODE_DIGITS):
            self._integrate()

    def _diagonalise(self) -> None:
        model = self.model
        first = int(model.fit_intercept)
        p = len(model.coef)
        k = self.k = p + first
        start = 1 - first
        G = model.products[start : start + k, start : start + k] if k else mp.matrix(0)
        b = [model.products[start + i, p + 1] for i in range(k)]
        P, aim = mp.matrix(k, k), [mpf(0)] * k
        rows = []
        if first and model.intercept is not None:
            shift = model.means[:-1] if model.center else [mpf(0)] * p
            rows.append(([mpf(1), *shift], *model.intercept))
        for j, prior in enumerate(model.coef):
            if prior is not None:
                rows.append(([mpf(int(i == j + first)) for i in range(k)], *prior))
        held = mpf(0)
        for row, loc, scale in rows:
            weight = 1 / mpf(scale) ** 2
            held += weight * mpf(loc) ** 2
            for i in range(k):
                aim[i] += weight * mpf(loc) * row[i]
                for j in range(k):
                    P[i, j] += weight * row[i] * row[j]
        # In units of the standard deviation of y, so that both parts are of like size.
        unit = self.unit = model.unit
        if k:
            # In units that make the sum's diagonal 1: mpmath takes numbers below its precision for 0.
            even = [1 / mp.sqrt(G[i, i] / unit**2 + P[i, i]) for i in range(k)]
            scaled, both = mp.matrix(k, k), mp.matrix(k, k)
            for i in range(k):
                for j in range(k):
                    scaled[i, j] = G[i, j] / unit**2 * even[i] * even[j]
                    both[i, j] = scaled[i, j] + P[i, j] * even[i] * even[j]
            inverse = mp.cholesky(both) ** -1
            values, vectors = mp.eigsy(inverse * scaled * inverse.T)
            basis = inverse.T * vectors
            for i in range(k):
                for j in range(k):
                    basis[i, j] *= even[i]
            self.basis = basis
            self.data = [max(values[i], mpf(0)) * unit**2 for i in range(k)]
            self.held = [max(1 - values[i], mpf(0)) for i in range(k)]
            for i in range(k):
                # Flat directions, and such as the data do not know, to the last digit but rounding.
                if self.held[i] < mpf(10) ** (-DIGITS // 2):
                    self.held[i] = mpf(0)
                if self.data[i] < unit**2 * mpf(10) ** (-DIGITS // 2):
                    self.data[i] = mpf(0)
            self.pull = [mp.fsum(basis[i, j] * b[i] for i in range(k)) for j in range(k)]
            self.aim = [mp.fsum(basis[i, j] * aim[i] for i in range(k)) for j in range(k)]
        else:
            self.data, self.held, self.pull, self.aim = [], [], [], []
        # Sums of squares that are left when sigma goes to zero, and gaps between data and prior.
        squares = model.products[p + 1, p + 1]
        self.rss = squares - mp.fsum(c**2 / d for c, d in zip(self.pull, self.data, strict=True) if d)
        if self.rss < squares * mpf(10) ** (-DIGITS // 2):
            self.rss = mpf(0)
        self.gaps = [
            (c / d - a / h) ** 2 if d and h else mpf(0)
            for c, d, a, h in zip(self.pull, self.data, self.aim, self.held, strict=True)
        ]

    def log_density(self, t: Any) -> Any:
        """Return the log posterior density of log sigma - log(sd(y)), up to a constant."""
        sigma = self.unit * mp.exp(t)
        precision = 1 / sigma**2
        found = self.model.log_sigma_prior(sigma) + t - self.model.count * t - self.rss * precision / 2
        product = mpf(1)
        for d, h, g in zip(self.data, self.held, self.gaps, strict=True):
            total = d * precision + h
            product *= total
            if d and h:
                found -= g * d * precision * h / total / 2
        return found - mp.log(product) / 2

    def _integrate(self) -> None:
        f = self.log_density
        scan = [mpf(i) for i in range(-60, 40)]
        values = [f(t) for t in scan]
        best = max(range(len(scan)), key=lambda i: values[i])
        h = mpf(10) ** -15

        def slope(t: Any) -> Any:
            return (f(t + h) - f(t - h)) / (2 * h)

        low, high = scan[best] - 1, scan[best] + 1
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if slope(middle) > 0 else (low, middle)
        mode = (low + high) / 2
        peak = f(mode)
        width = 1 / mp.sqrt(max(-(f(mode + h) - 2 * peak + f(mode - h)) / h**2, mpf("1e-3")))
        ends = []
        for sign in (-1, 1):
            step = 4 * width
            while f(mode + sign * step) - peak + max(0, 2 * sign * step) > -DROP and step < 500:
                step *= mpf("1.5")
            ends.append(mode + sign * step)
        alive = [t for t, v in zip(scan, values, strict=True) if v - peak > -DROP]
        ends = [min([ends[0], *alive]), max([ends[1], *alive])]
        size = max(16, int(2 * (ends[1] - ends[0]) / width))
        before = None
        while True:
            nodes = [ends[0] + (ends[1] - ends[0]) * i / size for i in range(size + 1)]
            weights = [mp.exp(f(t) - peak) for t in nodes]
            total = mp.fsum(weights)
            centre = mp.fsum(w * (t - mode) for w, t in zip(weights, nodes, strict=True)) / total
            now = [total / size, centre / width]
            gaps = (
                []
                if before is None
                else [abs(a - b) / max(abs(a), 1) for a, b in zip(now, before, strict=True)]
            )
            if gaps and max(gaps) < mpf("1e-15"):
                break
            if size > 20000:
                raise ArithmeticError("the integral over sigma has not settled")
            before, size = now, 2 * size
        keep = [i for i, w in enumerate(weights) if w > total * mpf("1e-32")]
        self.weights = [weights[i] / total for i in keep]
        sigma = [self.unit * mp.exp(nodes[i]) for i in keep]
        self.squares = mp.fsum(w * s**2 for w, s in zip(self.weights, sigma, strict=True))
        mean = mp.fsum(w * s for w, s in zip(self.weights, sigma, strict=True))
        sd = mp.sqrt(mp.fsum(w * (s - mean) ** 2 for w, s in zip(self.weights, sigma, strict=True)))
        self._means, self._variances = [], []
        for s in sigma:
            total = [d / s**2 + h for d, h in zip(self.data, self.held, strict=True)]
            self._means.append(
                [(c / s**2 + a) / v for c, a, v in zip(self.pull, self.aim, total, strict=True)]
            )
            self._variances.append([1 / v for v in total])
        self.mean: dict[str, Any] = {"sigma": mean}
        self.sd: dict[str, Any] = {"sigma": sd}
        first = int(self.model.fit_intercept)
        each = [self.functional([mpf(int(i == j)) for i in range(self.k)]) for j in range(self.k)]
        if first:
            self.mean["Intercept"], self.sd["Intercept"] = each[0]
        self.mean["coef"], self.sd["coef"] = [m for m, _ in each[first:]], [s for _, s in each[first:]]

    @cached_property
    def _average(self) -> tuple[list, list]:
        k = range(self.k)
        means = [mp.fsum(w * m[j] for w, m in zip(self.weights, self._means, strict=True)) for j in k]
        variances = [mp.fsum(w * v[j] for w, v in zip(self.weights, self._variances, strict=True)) for j in k]
        return means, variances

    def functional(self, row: list) -> tuple[Any, Any]:
        """Return mean and sd of row @ (intercept, coefficients)."""
        with mp.workdps(NODE_DIGITS):
            onto = [mp.fsum(row[i] * self.basis[i, j] for i in range(self.k)) for j in range(self.k)]
            means, variances = self._average
            centre = mp.fsum(r * m for r, m in zip(onto, means, strict=True))
            spread = mp.fsum(
                w * mp.fsum(r * (a - m) for r, a, m in zip(onto, at, means, strict=True)) ** 2
                for w, at in zip(self.weights, self._means, strict=True)
            )
            return centre, mp.sqrt(spread + mp.fsum(r**2 * v for r, v in zip(onto, variances, strict=True)))

    def predict(self, x: np.ndarray) -> tuple[Any, Any]:
        """Return mean and sd of a new observation at x, shape (p,)."""
        first = [mpf(1)] * int(self.model.fit_intercept)
        mean, sd = self.functional([*first, *(mpf(float(v)) for v in x)])
        return mean, mp.sqrt(sd**2 + self.squares)
