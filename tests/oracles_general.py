"""Posteriors of linear regression under any priors, by brute-force quadrature and by importance sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp

from tests.oracles import Model, NormalMixture, Oracle, Tabulated, log_sigma_grid


def _prior_window(dist: Any) -> tuple[float, float]:
    """Median and half the central 68 % range of a prior: (0, inf) for a flat one."""
    if dist is None:
        return 0.0, np.inf
    low, middle, high = dist.ppf([0.159, 0.5, 0.841])
    return float(middle), float(high - low) / 2


def _kinks(dist: Any) -> list[float]:
    """Where the density of a coefficient has a kink or ends."""
    if dist is not None and dist.dist.name == "laplace":
        return [float(dist.median())]
    return []


def _support(dist: Any) -> tuple[float, float]:
    return (-np.inf, np.inf) if dist is None else tuple(float(v) for v in dist.support())


def _rough_fit(model: Model) -> tuple[np.ndarray, np.ndarray, float]:
    """A normal approximation of the coefficients, only to place nodes: mean, covariance, sigma."""
    p, w = model.X.shape[1], model.w
    D = model.X - (np.average(model.X, axis=0, weights=w) if model.fit_intercept else 0.0)
    r = model.y - (np.average(model.y, weights=w) if model.fit_intercept else 0.0)
    centre, scale = (np.array(v) for v in zip(*(_prior_window(d) for d in model.coef), strict=True))
    sigma = float(np.sqrt(np.average(r**2, weights=w)))
    for _ in range(20):
        A = np.diag(scale**-2.0) + (D.T * w) @ D / sigma**2
        beta = np.linalg.solve(A, centre / scale**2 + (D.T * w) @ r / sigma**2)
        dof = w.sum() - p - model.fit_intercept
        if dof >= 1:
            sigma = float(np.sqrt((w * (r - D @ beta) ** 2).sum() / dof))
    return beta, np.linalg.inv(A), sigma


def grid_oracle(model: Model, coef_nodes: int = 56, sigma_nodes: int = 121, reach: float = 8.0) -> Oracle:
    """Return the posterior of one or two coefficients under any priors, the intercept's normal or flat.

    Brute force: Gauss-Legendre panels in asinh-stretched coefficients, broken at every kink, times an equally
    spaced grid in log sigma; the intercept is normal given those and is integrated in closed form.
    """
    p = model.X.shape[1]
    assert p in (1, 2)
    beta, cov, _ = _rough_fit(model)
    abscissae, quad_weights = np.polynomial.legendre.leggauss(coef_nodes)

    def panels(
        j: int, centre: float, scale: float, reach: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ends of the panels, nodes u of all of them, and their quadrature weights."""
        low, high = _support(model.coef[j])
        ends = np.arcsinh((np.array([low, *_kinks(model.coef[j]), high]) - centre) / scale)
        cuts = np.unique(np.clip([*ends, *([0.0] if ends[0] < 0 < ends[-1] else [])], -reach, reach))
        if len(cuts) == 1:  # all of the support is out of reach: a sliver of no weight
            cuts = np.array([reach, reach + 1e-9])
        half = np.diff(cuts)[:, None] / 2
        return cuts, (cuts[:-1, None] + half + half * abscissae).ravel(), (half * quad_weights).ravel()

    def nodes(outer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Panel ends and weights of the outer u; all nodes (m, p), their log weights x Jacobian (m,)."""
        scale = float(np.sqrt(cov[outer, outer]))
        cuts, u, weight = panels(outer, beta[outer], scale, reach)
        first = beta[outer] + scale * np.sinh(u)
        log_weight = np.log(weight * scale * np.cosh(u))
        if p == 1:
            return cuts, weight, first[:, None], log_weight
        inner = 1 - outer
        slope = cov[inner, outer] / cov[outer, outer]
        spread = float(np.sqrt(cov[inner, inner] - slope * cov[inner, outer]))
        points, logs = [], []
        for b, lw in zip(first, log_weight, strict=True):
            middle = beta[inner] + slope * (b - beta[outer])
            _, v, inner_weight = panels(inner, middle, spread, reach + 1)
            pair = np.empty((len(v), 2))
            pair[:, outer], pair[:, inner] = b, middle + spread * np.sinh(v)
            points.append(pair)
            logs.append(lw + np.log(inner_weight * spread * np.cosh(v)))
        # Every outer node has as many inner ones, unless a panel is clipped away: pad with nothing.
        width = max(map(len, logs))
        points = [np.pad(q, ((0, width - len(q)), (0, 0)), mode="edge") for q in points]
        logs = [np.pad(q, (0, width - len(q)), constant_values=-np.inf) for q in logs]
        return cuts, weight, np.concatenate(points), np.concatenate(logs)

    total = model.w.sum()
    m, s = (0.0, np.inf) if model.intercept is None else (model.intercept.mean(), model.intercept.std())
    assert model.intercept is None or model.intercept.dist.name == "norm"

    def log_joint(
        points: np.ndarray, log_weight: np.ndarray, log_sigma: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log of posterior mass at (point, sigma) (m, k), and the intercept that fits best at each (m,)."""
        prior = sum((d.logpdf(points[:, j]) if d is not None else 0.0) for j, d in enumerate(model.coef))
        error = model.y - (points @ (model.X - model.shift).T)
        at = error @ model.w / total if model.fit_intercept else np.zeros(len(points))
        squares = ((error - at[:, None]) ** 2) @ model.w
        sigma = np.exp(log_sigma)
        out = -total * log_sigma - squares[:, None] / (2 * sigma**2)
        out += log_sigma + model.log_sigma_prior(sigma) + (prior + log_weight)[:, None]
        if model.fit_intercept:
            out += log_sigma
            if np.isfinite(s):
                variance = s**2 + sigma**2 / total
                out -= ((at - m) ** 2)[:, None] / (2 * variance) + 0.5 * np.log(variance)
        return np.where(np.isnan(out), -np.inf, out), at

    def log_sigma_density(log_sigma: np.ndarray) -> np.ndarray:
        coarse = slice(None, None, 7)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return logsumexp(log_joint(points[coarse], log_weight[coarse], log_sigma)[0], axis=0)

    def interpolate(values: np.ndarray, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
        """Return a fine grid on [a, b] and there the polynomial through values at the Gauss nodes."""
        degrees = np.arange(coef_nodes)
        basis = np.polynomial.legendre.legvander(abscissae, coef_nodes - 1)
        x = np.linspace(-1, 1, 4001)
        fit = np.polynomial.legendre.legval(x, (degrees + 0.5) * (basis.T @ (quad_weights * values)))
        return (a + b) / 2 + (b - a) / 2 * x, fit

    marginals: dict[str, Any] = {}
    for outer in reversed(range(p)):
        cuts, weight, points, log_weight = nodes(outer)
        if outer == p - 1:
            log_sigma = log_sigma_grid(log_sigma_density, sigma_nodes)
        joint, at = log_joint(points, log_weight, log_sigma)
        mass = logsumexp(joint.reshape(len(weight), -1), axis=1)
        density = (np.exp(mass - mass.max()) / weight).reshape(len(cuts) - 1, coef_nodes)
        scale = float(np.sqrt(cov[outer, outer]))
        marginals[f"coef[{outer}]"] = Tabulated(
            [interpolate(part, a, b) for part, a, b in zip(density, cuts[:-1], cuts[1:], strict=True)],
            lambda u, c=beta[outer], k=scale: c + k * np.sinh(u),
        )
    top = joint.max()
    by_sigma = logsumexp(joint, axis=0)
    fine = np.linspace(log_sigma[0], log_sigma[-1], 8001)
    marginals["sigma"] = Tabulated(
        [(fine, np.exp(CubicSpline(log_sigma, by_sigma - by_sigma.max())(fine)))], np.exp
    )
    mass = np.exp(joint - top)
    node, column = np.nonzero(mass > 1e-10)
    weights, sigmas = mass[node, column], np.exp(log_sigma[column])
    variance = 1 / (total / sigmas**2 + s**-2.0) if model.fit_intercept else np.zeros(len(sigmas))
    middle = variance * (at[node] * total / sigmas**2 + m * s**-2.0) if model.fit_intercept else 0.0
    kept = points[node]

    def line(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return middle + kept @ (x - model.shift), np.sqrt(variance)

    oracle = Oracle(marginals, weights, sigmas, line)
    if model.fit_intercept:
        marginals["Intercept"] = oracle.mean_at(np.zeros(p))
    return oracle


def _importance_sample(
    log_post: Callable, location: np.ndarray, spread: np.ndarray, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return draws (draws, d) of a multivariate t refitted to its own weighted draws, and their weights."""
    rng = np.random.default_rng(seed)

    def propose(count: int) -> tuple[np.ndarray, np.ndarray]:
        proposal = stats.multivariate_t(location, spread, df=5, seed=rng)
        u = proposal.rvs(count).reshape(count, -1)
        blocks = np.array_split(u, 1 + count // 20_000)
        return u, np.concatenate([log_post(block) for block in blocks]) - proposal.logpdf(u)

    for _ in range(6):
        u, log_weight = propose(20_000)
        # Tempered weights while the proposal is still poor: no single draw may decide the next one.
        power = 1.0
        while True:
            weight = np.exp(power * (log_weight - log_weight.max()))
            weight /= weight.sum()
            if 1 / np.sum(weight**2) > 500 or power < 1e-3:
                break
            power *= 0.7
        location = weight @ u
        spread = (u - location).T @ ((u - location) * weight[:, None])
    u, log_weight = propose(draws)
    return u, np.exp(log_weight - logsumexp(log_weight))


def sampling_oracle(model: Model, draws: int = 400_000, seed: int = 0) -> Oracle:
    """Return the posterior under any priors as weighted draws, with Monte Carlo standard errors.

    The proposal is a multivariate t with 5 degrees of freedom in (intercept, coefficients, log sigma),
    positive coefficients by their logarithm, started at a rough fit and refitted to its own weighted draws.
    """
    p, head = model.X.shape[1], int(model.fit_intercept)
    positive = np.array([_support(d)[0] == 0.0 for d in model.coef], bool)
    centred = model.X - model.shift

    def unpack(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        coef = u[:, head : head + p]
        return u[:, :head], np.where(positive, np.exp(np.minimum(coef, 300)), coef), np.exp(u[:, -1])

    def log_post(u: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            a, coef, sigma = unpack(u)
            error = model.y - coef @ centred.T - (a if head else 0.0)
            out = -model.w.sum() * u[:, -1] - (error**2) @ model.w / (2 * sigma**2)
            out += u[:, -1] + model.log_sigma_prior(sigma) + u[:, head : head + p][:, positive].sum(1)
            for j, dist in enumerate(model.coef):
                out += 0.0 if dist is None else dist.logpdf(coef[:, j])
            if head and model.intercept is not None:
                out += model.intercept.logpdf(a[:, 0])
        return np.where(np.isfinite(out), out, -np.inf)

    d = head + p + 1
    beta, cov, sigma = _rough_fit(model)
    safe = np.where(positive, np.maximum(beta, 0.3 * np.sqrt(np.diag(cov))), beta)
    location = np.array([*([np.average(model.y, weights=model.w)] * head), *safe, np.log(sigma)])
    location[head : head + p] = np.where(positive, np.log(np.maximum(safe, 1e-300)), safe)
    spread = np.zeros((d, d))
    spread[head : head + p, head : head + p] = cov
    for j in np.flatnonzero(positive) + head:
        spread[j], spread[:, j], spread[j, j] = 0.0, 0.0, 1.0
    if head:
        spread[0, 0] = sigma**2 / model.w.sum()
    spread[-1, -1] = 2 / model.w.sum()

    u, weight = _importance_sample(log_post, location, spread, draws, seed)
    a, coef, sigmas = unpack(u)
    a = a[:, 0] - coef @ model.shift if head else np.zeros(draws)

    def line(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return a + coef @ x, np.zeros(draws)

    values = [*([a] * head), *coef.T, sigmas]
    marginals = {
        name: NormalMixture(weight, value, np.zeros(draws), draws=True)
        for name, value in zip(model.names, values, strict=True)
    }
    return Oracle(marginals, weight, sigmas, line, draws=True)


def scale_mixture_oracle(model: Model, draws: int = 200_000, seed: int = 0) -> Oracle:
    """Return the posterior under Student-t and normal priors, also where sigma may come near 0 (n < p).

    A Student-t is a normal whose variance is inverse gamma. Importance sampling covers those variances and
    sigma alone; given them the coefficients are normal and are integrated in closed form.
    """
    dists = [*([model.intercept] if model.fit_intercept else []), *model.coef]
    assert all(dist.dist.name in ("norm", "t") for dist in dists)
    assert np.all(model.w == 1)
    heavy = np.array([dist.dist.name == "t" for dist in dists])
    df = np.array([dist.args[0] for dist, h in zip(dists, heavy, strict=True) if h])
    middle = np.array([dist.median() for dist in dists])
    D = model.X - model.shift
    D = np.column_stack([np.ones(len(D)), D]) if model.fit_intercept else D
    residual, n, k = model.y - D @ middle, len(D), len(df)
    # In units of the prior's scale: the square of the scale, or of the sd of a normal.
    squares = (
        np.array([dist.args[-1] if h else dist.std() for dist, h in zip(dists, heavy, strict=True)]) ** 2
    )

    def variances(u: np.ndarray) -> np.ndarray:
        out = np.tile(squares, (len(u), 1))
        out[:, heavy] *= np.exp(np.minimum(u[:, :k], 15))
        return out

    def factor(u: np.ndarray) -> np.ndarray:
        """Lower Cholesky factors of the covariance of y given u, (len(u), n, n), extremes cut off."""
        noise = np.exp(2 * np.clip(u[:, -1], -8, 16))[:, None, None] * np.eye(n)
        return np.linalg.cholesky(np.einsum("mj,ij,lj->mil", variances(u), D, D) + noise)

    def log_post(u: np.ndarray) -> np.ndarray:
        L = factor(u)
        half = np.linalg.solve(L, np.broadcast_to(residual[:, None], (len(u), n, 1)))[..., 0]
        out = -(half**2).sum(1) / 2 - np.log(np.diagonal(L, axis1=1, axis2=2)).sum(1)
        # Variance ratios v are inverse gamma (df / 2, scale df / 2); + u for the logarithm.
        out -= (df / 2 * (u[:, :k] + np.exp(np.minimum(-u[:, :k], 300)))).sum(1)
        return out + u[:, -1] + model.log_sigma_prior(np.exp(u[:, -1]))

    location = np.array([*np.zeros(k), np.log(0.5 * model.y.std())])
    u, weight = _importance_sample(log_post, location, np.eye(k + 1), draws, seed)
    L, variance, sigmas = factor(u), variances(u), np.exp(u[:, -1])
    gain = np.linalg.solve(L, D * variance[:, None, :])  # L^-1 D Lambda, (draws, n, d)
    half = np.linalg.solve(L, np.broadcast_to(residual[:, None], (draws, n, 1)))
    means = middle + (gain * half).sum(1)

    def along(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return means @ row, np.sqrt(np.maximum(variance @ row**2 - ((gain @ row) ** 2).sum(1), 0))

    def line(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return along(np.concatenate([[1.0], x - model.shift]) if model.fit_intercept else x)

    marginals = {"sigma": NormalMixture(weight, sigmas, np.zeros(draws), draws=True)}
    for j, row in enumerate(np.eye(len(model.coef), len(dists), int(model.fit_intercept))):
        marginals[f"coef[{j}]"] = NormalMixture(weight, *along(row), draws=True)
    if model.fit_intercept:
        marginals["Intercept"] = NormalMixture(weight, *line(np.zeros(len(model.coef))), draws=True)
    return Oracle(marginals, weight, sigmas, line, draws=True)
