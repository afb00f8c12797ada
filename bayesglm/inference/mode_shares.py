"""Whether draws are in each mode of a posterior as often as weighted proposals say, and come there often enough.

Chains that seldom enter a narrow mode have a small Monte Carlo error as long as they stay away: what diagnostics make
of their draws says nothing of it. Proposals around all modes have been there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesglm.inference.diagnostics import diagnose
from bayesglm.inference.fast_lane import MAX_PARETO_K_MIXTURE, Lane
from bayesglm.inference.mixture import Mixture
from bayesglm.inference.pareto import pareto_k

#: A share may be off by so many Monte Carlo standard errors, and by so much besides.
ERRORS, SMALL = 5.0, 0.005
#: Chains must come to a mode with this share of the mass, or more, as often as this share of independent draws would.
COUNTS, VISITS = 0.01, 0.25


@dataclass(frozen=True)
class WrongShare:
    """A mode that draws have missed or seldom come to.

    Attributes
    ----------
    mode : int
        In the mixture's order.
    mass, share : float
        Its share of the posterior, by importance sampling, and of the draws.
    visits : int
        How often a chain came to it.
    """

    mode: int
    mass: float
    share: float
    visits: int


def wrong_share(lane: Lane, draws: np.ndarray) -> WrongShare | None:
    """Return the mode that draws represent worst, or None if none is wrong.

    Parameters
    ----------
    lane : Lane
        Of a mixture.
    draws : ndarray of shape (chain, draw, dim)
        In the coordinates of the mixture.

    Returns
    -------
    WrongShare or None
        None too where the weights of proposals have so heavy a tail that they say nothing.
    """
    mixture = lane.proposals
    assert isinstance(mixture, Mixture)
    log_weights = np.nan_to_num(lane.log_weights, nan=-np.inf)
    if not pareto_k(log_weights) < MAX_PARETO_K_MIXTURE:
        return None
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    belonging = mixture.belonging(lane.pilot)
    mass = weights @ belonging
    error = np.sqrt(weights**2 @ (belonging - mass) ** 2)
    chains, n, dim = draws.shape
    shares = mixture.belonging(draws.reshape(-1, dim)).reshape(chains, n, -1)
    share = shares.mean(axis=(0, 1))
    own = np.nan_to_num(diagnose(np.moveaxis(shares, -1, 0)).mcse_mean)
    there = shares.argmax(axis=2)[:, :, np.newaxis] == np.arange(len(mass))
    visits = (there[:, 1:] & ~there[:, :-1]).sum(axis=(0, 1)) + there[:, 0].sum(axis=0)
    excess = np.abs(share - mass) - ERRORS * np.hypot(own, error) - SMALL
    few = (visits < VISITS * chains * n * mass * (1.0 - mass)) & (np.minimum(mass, 1.0 - mass) > COUNTS)
    bad = np.flatnonzero((excess > 0.0) | few)
    if not bad.size:
        return None
    # The mode that is missing says more than the one that has too much.
    worst = bad[np.argmax(mass[bad] - share[bad])]
    return WrongShare(int(worst), float(mass[worst]), float(share[worst]), int(visits[worst]))
