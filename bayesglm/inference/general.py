"""Gaussian likelihood and any prior: standardised targets at O(p²) a step.

Normal priors of like position and width give a posterior in closed form
(`bayesglm.inference.gaussian`) whose coordinates standardise the space; the true priors enter as a
ratio. Coefficients that must be positive are mapped to the real line instead. Where the space turns
out not to be standardised well enough, warm-up puts an affine map around it
(`bayesglm.inference.sampling`). The prior itself never moves: it is evaluated at the coefficients,
whatever space the chain walks in.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr

from bayesglm.inference.gaussian import ConditionalGaussian, check_identified
from bayesglm.inference.prior_set import StandardisedPriors
from bayesglm.inference.settled import settle, settle_prior
from bayesglm.inference.sufficient import Summary
from bayesglm.kernel.gaussian import CorrectedTarget, SummaryTarget
from bayesglm.kernel.priors import Flat
from bayesglm.kernel.target import AffineTarget


def sampled_target(
    summary: Summary, priors: StandardisedPriors
) -> tuple[AffineTarget, ConditionalGaussian | None]:
    """Return a roughly standard normal target of (intercept, coefficients, sigma) for any priors.

    Parameters
    ----------
    summary : Summary
    priors : StandardisedPriors

    Returns
    -------
    target : AffineTarget
    likeness : ConditionalGaussian or None
        In whose coordinates the target's inner one is, if that is a `CorrectedTarget`.

    Raises
    ------
    NotIdentifiedError, ArithmeticError
        If the posterior is improper.
    """
    offset = int(summary.intercept)
    k = len(priors.positive) + offset
    proper = np.ones(k)
    for prior in priors.coef:
        if isinstance(prior, Flat):
            proper[np.asarray(prior.bound[0]) + offset] = 0.0
    if isinstance(priors.intercept, Flat):
        proper[0] = 0.0
    check_identified(summary, np.diag(proper))

    normal = priors.surrogate()
    likeness = ConditionalGaussian(summary, normal)
    if not priors.positive.any():
        width = 1.0 / np.sqrt(np.maximum(likeness.prior_precision, 1e-300))
        width[likeness.prior_precision == 0.0] = 0.0
        held = normal.precision > 0.0
        corrected = CorrectedTarget(
            likeness.target,
            settle(likeness.basis, np.abs(likeness.basis).max(axis=0, initial=0.0)),
            settle(likeness.data_precision),
            settle(likeness.prior_precision),
            settle(likeness.prior_mean, width),
            settle(likeness.data_mean, width),
            summary.intercept,
            settle(priors.shift, 1.0),
            settle(normal.loc, np.where(held, 1.0 / np.sqrt(np.where(held, normal.precision, 1.0)), 0.0)),
            settle(normal.precision),
            priors.joint(settle_prior),
            None if priors.intercept is None else settle_prior(priors.intercept),
        )
        return AffineTarget(corrected, np.zeros(k + 1), np.eye(k + 1)), likeness

    mean, variance = likeness.conditional(np.array(likeness.grid.mode))
    shift = np.append(likeness.basis @ mean, likeness.grid.mode)
    factor = np.zeros((k + 1, k + 1))
    factor[:k, :k] = likeness.basis * np.sqrt(variance)
    factor[k, k] = likeness.grid.sd
    unit = np.zeros(len(priors.positive))
    where = np.flatnonzero(priors.positive)
    unit[where] = _to_real_line(shift, factor, where + offset)
    plain = SummaryTarget(
        summary.weight,
        0.0,
        summary.rss,
        summary.factor,
        summary.rotated,
        summary.intercept,
        priors.shift,
        unit,
        priors.joint(),
        priors.intercept,
        priors.sigma,
    )
    return AffineTarget(plain, shift, factor), None


def unwhiten(
    target: AffineTarget, likeness: ConditionalGaussian | None, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Map draws of ``target``, shape (..., k + 1), to (intercept, coefficients) and sigma, standardised."""
    inner = target.unwhiten(draws)
    return target.inner.unwhiten(inner) if likeness is None else likeness.unwhiten(inner)


def _to_real_line(shift: np.ndarray, factor: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Change coordinates ``where`` of a normal approximation to v with x = s log(1 + exp(v)); return s.

    The coordinate is cut off at zero; s is the standard deviation of what is left, and its mean gives
    the position of v (delta method).
    """
    mean = shift[where]
    sd = np.sqrt(np.sum(factor[where] ** 2, axis=1))
    # Far below zero the tail is exponential: nothing is gained, and all digits lost, beyond 1,000 sds.
    ratio = np.maximum(mean / sd, -1e3)
    hazard = np.exp(-0.5 * ratio**2 - 0.5 * np.log(2.0 * np.pi) - log_ndtr(ratio))
    cut_mean = sd * (ratio + hazard)
    cut_sd = sd * np.sqrt(np.clip(1.0 - hazard * (ratio + hazard), 1e-6, 1.0))
    position = cut_mean / cut_sd
    shift[where] = position + np.log(-np.expm1(-position))
    slope = -np.expm1(-position)
    factor[where] /= (sd * slope)[:, np.newaxis]
    return cut_sd
