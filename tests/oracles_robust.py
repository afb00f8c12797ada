"""Posteriors of robust regressions by importance sampling from lines through all small subsets of rows.

Nothing of the package is used. A proposal chooses a subset of as many rows as there are coefficients (or all rows, or
the priors), sigma and df; the coefficients lie around the subset's line, as near as sigma says. The density of the
proposals is the sum over all of them, so that no mode that a few rows suggest is missed; a second round chooses the
subsets by what the first has found there.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import gammaln, logsumexp

#: Share of proposals that ignore what the first round has found.
BROAD = 0.3
#: Degrees of freedom of the proposals' tails.
TAILS = 5.0
#: Subsets at most.
MOST = 120
#: Lines of the first round that the second one keeps, as they were and refined.
KEPT = 150
#: Proposals whose densities are computed at once.
AT_ONCE = 20_000


@dataclass(frozen=True)
class Robust:
    """A robust regression: rows and priors, in the user's units; the intercept is at the predictors' means."""

    X: np.ndarray
    y: np.ndarray
    level: tuple[float, float]  # normal prior of the intercept: location, scale
    slopes: tuple[float, np.ndarray]  # normal priors of the coefficients
    sigma: tuple[float, float]  # half Student-t: df, scale
    df: tuple[float, float]  # gamma: shape, scale

    @property
    def design(self) -> np.ndarray:
        return np.column_stack([np.ones(len(self.y)), self.X - self.X.mean(axis=0)])

    def log_density(self, q: np.ndarray) -> np.ndarray:
        """Return the log posterior of (intercept at means, coefficients, log sigma, log df), up to a constant."""
        k = q.shape[1] - 2
        theta, sigma, df = q[:, :k], np.exp(q[:, k]), np.exp(q[:, k + 1])
        found = -0.5 * ((theta[:, 0] - self.level[0]) / self.level[1]) ** 2
        found -= 0.5 * (((theta[:, 1:] - self.slopes[0]) / self.slopes[1]) ** 2).sum(axis=1)
        nu, scale = self.sigma
        found += q[:, k] - 0.5 * (nu + 1.0) * np.log1p((sigma / scale) ** 2 / nu)
        shape, unit = self.df
        found += shape * q[:, k + 1] - df / unit
        n = len(self.y)
        found += n * (gammaln(0.5 * (df + 1.0)) - gammaln(0.5 * df) - 0.5 * np.log(df) - q[:, k])
        residual = (self.y - theta @ self.design.T) / sigma[:, np.newaxis]
        return found - 0.5 * (df + 1.0) * np.log1p(residual**2 / df[:, np.newaxis]).sum(axis=1)


def at_defaults(X: np.ndarray, y: np.ndarray) -> Robust:
    """Return the model that `BayesianRobustRegression` has at its defaults, as docs/priors.md gives it."""
    unit = y.std()
    return Robust(
        X, y, (float(np.median(y)), 2.5 * unit), (0.0, 2.5 * unit / X.std(axis=0)), (4.0, unit), (2.0, 10.0)
    )


@dataclass(frozen=True)
class _Lines:
    """Proposals around lines: theta | sigma ~ t(line, sigma² C), sigma and df log-t; weights of the lines."""

    theta: np.ndarray  # (m, k)
    root: np.ndarray  # (m, k, k): of C
    centre: np.ndarray  # (m, 2): of log sigma, log df
    spread: np.ndarray  # (m, 2, 2): root of the scale matrix
    weight: np.ndarray  # (m,)

    def draw(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        k = self.theta.shape[1]
        of = rng.choice(len(self.weight), n, p=self.weight)

        def t(dim: int) -> np.ndarray:
            return rng.standard_normal((n, dim)) * np.sqrt(TAILS / rng.chisquare(TAILS, (n, 1)))

        rest = self.centre[of] + np.einsum("nij,nj->ni", self.spread[of], t(2))
        sigma = np.exp(rest[:, :1])
        theta = self.theta[of] + sigma * np.einsum("nij,nj->ni", self.root[of], t(k))
        return np.column_stack([theta, rest]), of

    def log_density(self, q: np.ndarray) -> np.ndarray:
        """Return the log density of the proposals, and that of each line, (n, m)."""
        k = self.theta.shape[1]
        terms = np.empty((len(q), len(self.weight)))
        scaled = q[:, :k] / np.exp(q[:, k : k + 1]), np.exp(-q[:, k : k + 1])
        for j, weight in enumerate(self.weight):
            rest = (q[:, k:] - self.centre[j]) @ np.linalg.inv(self.spread[j]).T
            inverse = np.linalg.inv(self.root[j]).T
            z = scaled[0] @ inverse - scaled[1] * (self.theta[j] @ inverse)
            determinants = np.log(np.abs(np.linalg.det(self.root[j]) * np.linalg.det(self.spread[j])))
            with np.errstate(divide="ignore"):
                terms[:, j] = np.log(weight) + _t(rest) + _t(z) - k * q[:, k] - determinants
        return terms


def _t(z: np.ndarray) -> np.ndarray:
    """Return the log density of a standard multivariate t; rows are points."""
    dim = z.shape[1]
    constant = gammaln(0.5 * (TAILS + dim)) - gammaln(0.5 * TAILS) - 0.5 * dim * np.log(TAILS * np.pi)
    return constant - 0.5 * (TAILS + dim) * np.log1p(np.einsum("ij,ij->i", z, z) / TAILS)


def _first(model: Robust, rng: np.random.Generator) -> _Lines:
    """Return lines through subsets of k rows, the same after a median fit of them all, and the one of all rows."""
    A, y = model.design, model.y
    n, k = A.shape
    subsets = list(combinations(range(n), k))
    if len(subsets) > MOST:
        subsets = [subsets[i] for i in rng.choice(len(subsets), MOST, replace=False)]
    lines = [np.linalg.lstsq(A, y, rcond=None)[0]]
    roots = [np.linalg.cholesky(np.linalg.inv(A.T @ A + 1e-6 * np.eye(k)))]
    sigmas = [np.log(y.std())]
    for rows in subsets:
        theta = np.linalg.lstsq(A[list(rows)], y[list(rows)], rcond=1e-8)[0]
        # Towards what most of the nearest half of the rows agree on.
        for h in (k, (n + k + 1) // 2):
            near = np.argsort(np.abs(y - A @ theta))[: max(h, k)]
            if h > k:
                theta = np.linalg.lstsq(A[near], y[near], rcond=1e-8)[0]
            lines.append(theta)
            roots.append(np.linalg.cholesky(2.0 * np.linalg.inv(A[near].T @ A[near] + 1e-3 * np.eye(k))))
            sigmas.append(
                np.log(np.median(np.abs(y - A @ theta)) + 1e-3 * y.std()) - (1.5 if h == k else 0.5)
            )
    m = len(lines)
    centre = np.column_stack([sigmas, np.where(np.arange(m) == 0, 2.5, 0.0)])
    spread = np.tile(np.diag([1.2, 1.2]), (m, 1, 1))
    weight = np.full(m, 0.8 / (m - 1))
    weight[0] = 0.2
    return _Lines(np.array(lines), np.array(roots), centre, spread, weight)


def posterior(
    model: Robust, functions, seed: int = 0, n: int = 1_000_000
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the posterior means of functions of q, (m,), their Monte Carlo standard errors, and the effective size.

    ``functions`` maps points, (n, k + 2), to values, (n, m).
    """
    rng = np.random.default_rng(seed)
    first = _first(model, rng)
    q, _ = first.draw(rng, max(40_000, n // 3))
    terms = np.concatenate([first.log_density(part) for part in np.array_split(q, 1 + len(q) // AT_ONCE)])
    log_w = model.log_density(q) - logsumexp(terms, axis=1)
    second = _refined(first, q, terms, log_w)
    values, weights = [], []
    for part in np.array_split(np.arange(n), 1 + n // AT_ONCE):
        q, _ = second.draw(rng, len(part))
        weights.append(model.log_density(q) - logsumexp(second.log_density(q), axis=1))
        values.append(functions(q))
    log_w, f = np.concatenate(weights), np.concatenate(values)
    w = np.exp(log_w - log_w.max())
    w /= w.sum()
    mean = w @ f
    return mean, np.sqrt(w**2 @ (f - mean) ** 2), 1.0 / float(w @ w)


def _refined(first: _Lines, q: np.ndarray, terms: np.ndarray, log_w: np.ndarray) -> _Lines:
    """Return the lines with weights, positions and spreads that the weighted proposals suggest, and the first ones."""
    k = first.theta.shape[1]
    w = np.exp(log_w - log_w.max())
    w /= w.sum()
    share = np.exp(terms - logsumexp(terms, axis=1, keepdims=True)) * w[:, np.newaxis]
    mass = share.sum(axis=0)
    effective = mass**2 / np.maximum((share**2).sum(axis=0), 1e-300)
    good = np.flatnonzero((effective > 60.0) & (mass > 1e-5))
    good = good[np.argsort(-mass[good])[:KEPT]]
    theta, root, centre, spread = [], [], [], []
    for j in good:
        r = share[:, j] / mass[j]
        sigma = np.exp(q[:, k : k + 1])
        precision = r / sigma[:, 0] ** 2
        at = precision @ q[:, :k] / precision.sum()
        z = (q[:, :k] - at) / sigma
        # The t's scale matrix for a like covariance.
        like = (TAILS - 2.0) / TAILS
        theta.append(at)
        root.append(np.linalg.cholesky(1.1 * like * (z.T * r) @ z + 1e-12 * np.eye(k)))
        rest = q[:, k:]
        middle = r @ rest
        centre.append(middle)
        spread.append(np.linalg.cholesky(1.2 * like * ((rest - middle).T * r) @ (rest - middle)))
    kept = np.argsort(-mass)[:KEPT]
    broad = first.weight[kept] + mass[kept]
    return _Lines(
        np.concatenate([np.reshape(theta, (-1, k)), first.theta[kept]]),
        np.concatenate([np.reshape(root, (-1, k, k)), first.root[kept]]),
        np.concatenate([np.reshape(centre, (-1, 2)), first.centre[kept]]),
        np.concatenate([np.reshape(spread, (-1, 2, 2)), first.spread[kept]]),
        np.concatenate([(1.0 - BROAD) * mass[good] / mass[good].sum(), BROAD * broad / broad.sum()]),
    )
