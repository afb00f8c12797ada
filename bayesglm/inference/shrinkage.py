"""Gaussian likelihood and a prior on all coefficients together: coordinates for chains to walk in, O(p²) a step."""

from __future__ import annotations

import numpy as np

from bayesglm.inference.gaussian import check_identified
from bayesglm.inference.prior_set import StandardisedPriors
from bayesglm.inference.sufficient import Summary
from bayesglm.kernel.coefficient_maps import MappedTarget
from bayesglm.kernel.gaussian import SummaryTarget
from bayesglm.kernel.priors import Flat
from bayesglm.kernel.sparse_priors import LearnedNormal, SparsePrior
from bayesglm.kernel.target import AffineTarget

#: Coefficients this many standard errors from zero start where the data put them, the others at zero.
CLEAR = 3.0
#: Coefficients this many sd(y)/sd(x) from zero are no place to start.
ABSURD = 30.0
#: The least noise that is told from none, in units of sd(y): coordinates count coefficients in standard errors, and
#: doubles have to hold both. Where their prior goes with sigma chains fail from 1e-6 on, and say so.
RESOLUTION = 1e-13
#: A guess at the posterior standard deviation of the logarithms of scales.
WIDTH_OF_HYPER = 0.5


def shrunk_target(summary: Summary, priors: StandardisedPriors, prior: SparsePrior) -> AffineTarget:
    """Return a target of (intercept, coordinates of the coefficients, log sigma), roughly standard normal.

    Parameters
    ----------
    summary : Summary
    priors : StandardisedPriors
    prior : SparsePrior
        That of the coefficients, one of ``priors``.

    Returns
    -------
    AffineTarget
        Of a `MappedTarget`.

    Raises
    ------
    NotIdentifiedError
        If the posterior is improper.
    """
    p, first = summary.factor.shape[1], int(summary.intercept)
    proper = np.ones(p + first)
    if isinstance(priors.intercept, Flat):
        proper[0] = 0.0
    check_identified(summary, np.diag(proper))
    rss = max(summary.rss, summary.weight * (RESOLUTION * np.exp(-summary.level)) ** 2)
    products = summary.factor.T @ summary.factor
    information = np.diagonal(products).copy()
    plain = SummaryTarget(
        summary.weight,
        0.0,
        rss,
        summary.factor,
        summary.rotated,
        summary.intercept,
        priors.shift,
        np.zeros(p),
        Flat().bind(np.arange(p)),
        priors.intercept,
        priors.sigma,
    )
    # Where to start: at an estimate of the clear signals. Chains are spread around it and warm-up learns the rest.
    estimate, freedom = summary.least_squares, summary.weight - summary.rank - first
    # All but equal columns have coefficients of a million that cancel, where no prior puts them, and no chain returns.
    largest = ABSURD * np.sqrt(summary.weight) * np.exp(-summary.level)
    cancelling = bool(np.any(np.abs(estimate) * np.sqrt(information) > largest))
    if cancelling or summary.rank < p or (freedom < 0.1 * p + 1.0 and not summary.exact_fit):
        ridge = 0.1 * information.mean() * p / summary.weight + np.finfo(float).tiny
        estimate = np.linalg.solve(products + ridge * np.eye(p), summary.factor.T @ summary.rotated)
        rss, freedom = rss + float(np.sum((summary.factor @ estimate - summary.rotated) ** 2)), summary.weight
    sigma = np.sqrt(rss / freedom)
    clear = np.abs(estimate) * np.sqrt(information) > CLEAR * sigma
    # A map that does not go with sigma wants the precision of the coefficients at what sigma is.
    per_sigma = 1.0 if isinstance(prior, LearnedNormal) else sigma
    coef_map = prior.coef_map(summary.sigma_unit, information=information * (per_sigma / sigma) ** 2)
    target = MappedTarget(plain, coef_map, first)
    start, width = np.zeros(target.dim), np.ones(target.dim)
    size = coef_map.size
    start[first : first + size] = coef_map.at(np.where(clear, estimate, 0.0), sigma)
    width[first + (p if isinstance(prior, LearnedNormal) else 2 * p) : first + size] = WIDTH_OF_HYPER
    start[-1], width[-1] = np.log(sigma), np.sqrt(0.5 / summary.weight)
    if first:
        width[0] = sigma / np.sqrt(summary.weight)
    return AffineTarget(target, start, np.diag(width))


def unwhiten(target: AffineTarget, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Map draws (..., dim) to (intercept, coefficients), sigma, both standardised, and hyperparameters by name."""
    q = target.unwhiten(draws)
    inner = target.inner.unwhiten(q)
    return inner[..., :-1], np.exp(inner[..., -1]), target.inner.hyper(q)
