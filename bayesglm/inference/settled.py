"""Numbers rounded to seven digits for the chains to walk on, so that rounding errors do not change the draws.

A chain that adapts its steps is chaotic: a difference of 1e-16 in its target is one of the size of the
posterior some fifty draws later. Data in another order, in other batches, or on another processor give other
last digits, and so other draws. Rounded to 24 bits, the numbers that define a target are nearly always the
same again; and a target that is off by 1e-7 is the posterior still, by any measure that draws could show.
What draws are mapped back with, and whatever is computed exactly, is not rounded.
"""

from __future__ import annotations

import numpy as np

from bayesglm.kernel.priors import Prior

#: Significant bits that are left. Numbers known to 1e-13 then come out different once in a million.
BITS = 24


def settle(values: np.ndarray | float, size: np.ndarray | float = 0.0) -> np.ndarray:
    """Round numbers to `BITS` bits of themselves, or of ``size`` where that is larger.

    Parameters
    ----------
    values : array
    size : array of a shape that broadcasts with it, default=0.0
        What the numbers are measured by: of a number that is zero but for rounding, nothing is left.
    """
    values = np.asarray(values, dtype=np.float64)
    _, exponent = np.frexp(np.maximum(np.abs(values), size))
    step = np.ldexp(1.0, exponent - BITS)
    return np.asarray(np.where(np.isfinite(values), np.rint(values / step) * step, values))


def settle_prior(prior: Prior) -> Prior:
    """Return a bound prior with settled location and scale."""
    _, loc, scale, _ = prior.bound
    return prior.moved(settle(loc, scale), settle(scale))
