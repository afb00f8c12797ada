"""A mixture of t distributions around all modes of a posterior, fitted to it by weighted draws; proposals jump by it.

Where noise is Student's t, a line through a few rows that lie close to it is a mode of its own: sigma is small there,
df too, and the coefficients' spread is proportional to sigma, as that of the likelihood is. So components are t
distributions not of the coefficients but of (theta - centre)·sigma_0/sigma, log sigma and log df. What Laplace's
approximation has of skewed tails is not much; rounds of importance sampling and EM steps (Cappé, Douc, Guillin, Marin &
Robert 2008; Hoogerheide, Opschoor & van Dijk 2012) bring positions, widths and weights nearer to the posterior's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln, logsumexp

from bayesglm.inference.laplace import LaplaceFit
from bayesglm.kernel.target import AffineTarget

#: Degrees of freedom of the components: tails heavier than those of any posterior under the default priors.
TAILS = 7.0
#: Components around the highest mode, (width, shift along the last coordinate in its sd), and around each other one.
AROUND_FIRST = ((1.0, 0.0), (1.0, -1.5), (1.0, 1.5), (2.5, 0.0))
AROUND_OTHERS = ((1.0, 0.0), (1.0, -1.5), (2.5, 0.0))
#: Draws a round, and for each dimension; rounds at most.
DRAWS, DRAWS_A_DIMENSION, ROUNDS = 1000, 100, 6
#: Points whose densities are computed at once.
AT_ONCE = 8192
#: EM steps a round.
STEPS = 2
#: Share of proposals that a component keeps whatever its weights say, and of all such together.
LEAST, LEAST_TOGETHER = 0.02, 0.3


@dataclass(frozen=True)
class Mixture:
    """Proposals in the coordinates of a whitened target.

    Attributes
    ----------
    target : AffineTarget
        Of which only the map is used.
    n_linear : int
        Coordinates before log sigma.
    centres, levels : ndarray of shape (m, n_linear), (m,)
        Coefficients and log sigma of the modes.
    region : ndarray of int, shape (j,)
        Which mode a component belongs to.
    means, roots : ndarray of shape (j, dim), (j, dim, dim)
        Positions, and lower roots of scale matrices.
    shares : ndarray of shape (j,)
    """

    target: AffineTarget
    n_linear: int
    centres: np.ndarray
    levels: np.ndarray
    region: np.ndarray
    means: np.ndarray
    roots: np.ndarray
    shares: np.ndarray

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return whitened points, shape (n, dim)."""
        k, dim = self.n_linear, self.target.dim
        of = rng.choice(len(self.shares), n, p=self.shares)
        raw = rng.standard_normal((n, dim)) * np.sqrt(TAILS / rng.chisquare(TAILS, (n, 1)))
        q = np.empty((n, dim))
        for j in range(len(self.shares)):
            here = of == j
            q[here] = self.means[j] + raw[here] @ self.roots[j].T
        at = self.region[of]
        with np.errstate(over="ignore", invalid="ignore"):
            q[:, :k] *= np.exp(q[:, k] - self.levels[at])[:, np.newaxis]
            q[:, :k] += self.centres[at]
            return whitened_by(self.target, q)

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Return the log density of whitened points, up to a constant."""
        found = np.empty(len(points))
        for first in range(0, len(points), AT_ONCE):
            here = slice(first, first + AT_ONCE)
            found[here] = logsumexp(self.terms(points[here])[0], axis=0)
        return found

    def belonging(self, points: np.ndarray) -> np.ndarray:
        """Return how much of the density at whitened points comes from each mode's components, shape (n, m)."""
        found = np.empty((len(points), len(self.levels)))
        for first in range(0, len(points), AT_ONCE):
            here = slice(first, first + AT_ONCE)
            terms = self.terms(points[here])[0]
            with np.errstate(invalid="ignore"):
                terms = np.exp(terms - terms.max(axis=0))
            for i in range(found.shape[1]):
                found[here, i] = terms[self.region == i].sum(axis=0)
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(found / found.sum(axis=1, keepdims=True))

    def terms(self, points: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        """Return each component's share of the density, (j, n), the modes' coordinates, squared distances, (j, n)."""
        k, dim = self.n_linear, self.target.dim
        q = self.target.unwhiten(points)
        coordinates, logs = [], []
        for centre, level in zip(self.centres, self.levels, strict=True):
            x = q.copy()
            with np.errstate(over="ignore", invalid="ignore"):
                x[:, :k] -= centre
                x[:, :k] *= np.exp(level - q[:, k])[:, np.newaxis]
            coordinates.append(x)
            logs.append(k * (level - q[:, k]))
        square = np.empty((len(self.shares), len(points)))
        found = np.empty_like(square)
        for j, at in enumerate(self.region):
            inverse = np.linalg.inv(self.roots[j])
            with np.errstate(over="ignore", invalid="ignore"):
                z = (coordinates[at] - self.means[j]) @ inverse.T
                square[j] = np.einsum("ij,ij->i", z, z)
                found[j] = logs[at] - 0.5 * (TAILS + dim) * np.log1p(square[j] / TAILS)
            found[j] += np.log(self.shares[j]) + np.log(np.abs(np.diagonal(inverse))).sum()
        constant = gammaln(0.5 * (TAILS + dim)) - gammaln(0.5 * TAILS) - 0.5 * dim * np.log(0.5 * TAILS)
        # Where rounding or overflow leaves no number there is nothing to propose.
        return np.nan_to_num(found + constant, nan=-np.inf), coordinates, square

    def moved(self, points: np.ndarray, log_weights: np.ndarray) -> Mixture:
        """Return the mixture after EM steps towards weighted points."""
        found = self
        for _ in range(STEPS):
            found = found._step(points, log_weights)
        return found

    def _step(self, points: np.ndarray, log_weights: np.ndarray) -> Mixture:
        dim = self.target.dim
        terms, coordinates, square = self.terms(points)
        total = logsumexp(terms, axis=0)
        weight = np.exp(log_weights - logsumexp(log_weights))
        with np.errstate(invalid="ignore"):
            shares = np.nan_to_num(np.exp(terms - total)) * weight
        means, roots = self.means.copy(), self.roots.copy()
        mass = shares.sum(axis=1)
        for j, at in enumerate(self.region):
            if not mass[j] > 0.0:
                continue
            used = shares[j] > 0.0
            share, x = shares[j, used], coordinates[at][used]
            # What a component's points say counts by their effective number, against two a dimension for what it is.
            effective = mass[j] ** 2 / (share @ share)
            trust = effective / (effective + 2.0 * dim)
            pull = share * (TAILS + dim) / (TAILS + square[j, used])
            mean = pull @ x / pull.sum()
            gap = mean - self.means[j]
            spread = ((x - mean).T * pull) @ (x - mean) / mass[j]
            scale = trust * spread + (1.0 - trust) * (self.roots[j] @ self.roots[j].T)
            scale += trust * (1.0 - trust) * np.outer(gap, gap)
            scale[np.diag_indices(dim)] *= 1.0 + 1e-9
            if np.isfinite(scale).all():
                try:
                    roots[j] = np.linalg.cholesky(scale)
                    means[j] += trust * gap
                except np.linalg.LinAlgError:
                    continue  # directions too different for its digits: it stays as it is
        return replace(self, means=means, roots=roots, shares=_kept(mass))


def whitened_by(target: AffineTarget, q: np.ndarray) -> np.ndarray:
    """Return the points, shape (n, dim), that an affine target maps to ``q``."""
    return np.ascontiguousarray(np.linalg.solve(target.factor, (q - target.shift).T).T)


def _kept(mass: np.ndarray) -> np.ndarray:
    """Return shares of proposals, none of them nothing."""
    found = np.maximum(mass / mass.sum(), min(LEAST, LEAST_TOGETHER / len(mass)))
    return np.asarray(found / found.sum())


def around_modes(
    target: AffineTarget, fits: Sequence[LaplaceFit], masses: np.ndarray, n_linear: int
) -> Mixture:
    """Return a mixture of Laplace's approximations: the first mode's and the others'.

    Parameters
    ----------
    target : AffineTarget
    fits : sequence of LaplaceFit
    masses : ndarray
        Logarithms of what the approximations hold, up to a constant.
    n_linear : int
        Coordinates before log sigma.
    """
    region, means, roots, shares = [], [], [], []
    for i, fit in enumerate(fits):
        covariance = fit.factor @ fit.factor.T
        root = np.linalg.cholesky(covariance + 1e-12 * np.diag(np.diagonal(covariance)))
        around = AROUND_OTHERS if i else AROUND_FIRST
        for width, shift in around:
            mean = fit.mode.copy()
            mean[:n_linear] = 0.0
            mean[-1] += shift * np.sqrt(covariance[-1, -1])
            region.append(i)
            means.append(mean)
            roots.append(width * root)
            # Narrow modes have more mass than their approximations say; the first round tells.
            shares.append(np.exp(0.5 * (masses[i] - np.max(masses))) / len(around))
    return Mixture(
        target,
        n_linear,
        np.array([fit.mode[:n_linear] for fit in fits]),
        np.array([fit.mode[n_linear] for fit in fits]),
        np.array(region),
        np.array(means),
        np.array(roots),
        _kept(np.array(shares)),
    )


def fitted(
    mixture: Mixture,
    log_density: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
    enough: Callable[[np.ndarray], bool],
) -> Mixture:
    """Return the mixture that rounds of importance sampling have brought near the posterior.

    All rounds' points count in each, as if drawn from the mixture of all rounds' mixtures.

    Parameters
    ----------
    mixture : Mixture
    log_density : callable
        Maps whitened points to the posterior's log densities.
    rng : Generator
    enough : callable
        Told the log weights of a round's own points, says whether they are good enough to end.
    """
    n = DRAWS + DRAWS_A_DIMENSION * mixture.target.dim
    points, values = np.empty((0, mixture.target.dim)), np.empty(0)
    rounds: list[Mixture] = []
    proposal = np.empty(0)  # log of the sum of all rounds' densities
    for i in range(ROUNDS):
        new = mixture.draw(rng, n)
        new_values = log_density(new)
        here = mixture.log_density(new)
        before = [one.log_density(new) for one in rounds]
        rounds.append(mixture)
        if len(points):
            proposal = np.logaddexp(proposal, mixture.log_density(points))
        proposal = np.append(proposal, logsumexp([here, *before], axis=0))
        points, values = np.concatenate([points, new]), np.append(values, new_values)
        done = enough(new_values - here)
        log_weights = values - proposal
        log_weights[np.isnan(log_weights)] = -np.inf
        if not np.isfinite(log_weights).any():
            break
        mixture = mixture.moved(points, log_weights)
        if done and i:
            break
    return mixture
