"""A Gaussian model whose coefficients share a learned scale: chains over sigma and the scale, the rest drawn exactly.

Joint sampling of coefficients and their scale meets a funnel where the data say little; integrating the coefficients
out leaves two well-behaved dimensions (`bayesglm.kernel.collapsed`).
"""

from __future__ import annotations

import numpy as np

from bayesglm.inference.laplace import fit_laplace
from bayesglm.inference.prior_set import StandardisedPriors
from bayesglm.inference.sampling import Run
from bayesglm.inference.settled import settle
from bayesglm.inference.sufficient import Summary
from bayesglm.kernel.collapsed import CollapsedTarget
from bayesglm.kernel.sparse_priors import LearnedNormal
from bayesglm.kernel.target import AffineTarget

#: The least noise that is told from none, in units of sd(y), and where to look for it without residuals.
RESOLUTION, USUAL = 1e-15, 1e-8
#: Step of differences in the logarithms of scales.
DIFFERENCE = 1e-4


def collapses(priors: StandardisedPriors) -> bool:
    """Whether coefficients can be integrated out: one scale for all, an intercept that they do not move."""
    if not isinstance(priors.sparse, LearnedNormal) or priors.sparse.group is not None:
        return False
    if priors.intercept is None:
        return True
    return priors.intercept.gaussian() is not None and not np.any(priors.shift)


class Collapsed:
    """The two-dimensional posterior, and how to draw all parameters given a point of it, in standardised units.

    Parameters
    ----------
    summary : Summary
    priors : StandardisedPriors
        For which `collapses` holds.

    Attributes
    ----------
    target : AffineTarget
        Roughly standard normal.
    """

    def __init__(self, summary: Summary, priors: StandardisedPriors):
        prior = priors.sparse
        assert isinstance(prior, LearnedNormal)
        self.unit = np.asarray(prior.bound[2])
        p = len(self.unit)
        left, singular, right = np.linalg.svd(summary.factor * self.unit, full_matrices=True)
        rank = len(singular)
        self.singular, self.projected = singular, (left.T @ summary.rotated)[:rank]
        self.rotation = right.T.reshape(p, p)
        self.intercept, self.weight = summary.intercept, summary.weight
        self.precision, self.loc = 0.0, 0.0
        if priors.intercept is not None:
            normal = priors.intercept.gaussian()
            assert normal is not None
            self.loc, self.precision = float(normal[0][0]), float(normal[1][0])
        rss = max(summary.rss, summary.weight * (RESOLUTION * np.exp(-summary.level)) ** 2)
        inner = CollapsedTarget(
            float(settle(summary.weight)),
            float(settle(rss)),
            settle(self.singular),
            settle(self.projected, np.sqrt(rss)),
            priors.sigma,
            prior.hyperprior(),
            summary.intercept,
            self.loc,
            np.sqrt(1.0 / self.precision) if self.precision > 0.0 else np.inf,
        )
        free = max(summary.weight - rank - summary.intercept, 1.0)
        spread = np.sqrt(rss / free) if summary.rss > 0.0 else USUAL * np.exp(-summary.level)
        start = np.array([np.log(spread), 0.0])
        fit = fit_laplace(inner, start, lambda q: _curvature(inner, q))
        self.target = AffineTarget(inner, fit.mode, fit.factor)

    def complete(self, found: Run) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Draw (intercept, coefficients) for each draw of (log sigma, log scale); return sigma and scale too.

        The chains' own generators go on for that, so that a continued run continues this as well.
        """
        assert isinstance(found.target, AffineTarget)
        q = np.exp(found.target.unwhiten(found.draws))
        sigma, scale = q[..., 0], q[..., 1]
        p, first = len(self.unit), int(self.intercept)
        normal = np.stack(
            [
                np.random.Generator(state.bit_generator).standard_normal((q.shape[1], p + first))
                for state in found.states
            ]
        )
        d, c = np.zeros(p), np.zeros(p)
        d[: len(self.singular)], c[: len(self.projected)] = self.singular, self.projected
        noise, spread = sigma[..., np.newaxis] ** 2, scale[..., np.newaxis] ** 2
        variance = noise + spread * d**2
        mean = spread * d * c / variance
        rotated = mean + np.sqrt(spread * noise / variance) * normal[..., first:]
        theta = np.empty((*q.shape[:2], p + first))
        theta[..., first:] = rotated @ self.rotation.T * self.unit
        if first:
            precision = self.weight / sigma**2 + self.precision
            theta[..., 0] = self.precision * self.loc / precision + normal[..., 0] / np.sqrt(precision)
        return theta, sigma, {"prior_scale": scale}


def _curvature(target: CollapsedTarget, q: np.ndarray) -> np.ndarray:
    """Return minus the second derivatives by differences of the gradient, shape (2, 2)."""
    found = np.empty((2, 2))
    for i, step in enumerate(DIFFERENCE * np.eye(2)):
        found[i] = (target(q - step)[1] - target(q + step)[1]) / (2.0 * DIFFERENCE)
    return 0.5 * (found + found.T)
