"""One regression at the edge of what doubles hold, the table of them, and data that are made for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CASES: dict[str, Callable[[], Case]] = {}


@dataclass
class Case:
    """Data, settings, and what must come of them.

    Attributes
    ----------
    X, y, weights
        What the oracle is given; `given` is what the estimator gets, if that is in another container.
    settings : dict
        Arguments of the estimator.
    model : dict
        The same for `ExactModel`.
    error : str
        What the one sentence must say, if the data must be refused.
    warns : tuple of str
        What the warnings must say, each of them.
    nearby : ndarray, optional
        Another X within the rounding of the numbers in X, of which the posterior may be the exact one as well.
    perfect : bool
        Whether the data are fitted to rounding error: coefficients then are exact, and sigma is no more than that.
    tolerance : float
        Allowed error of means, in posterior standard deviations, and of standard deviations, relatively.
    reason : str
        Why it is more than 1e-9, if it is.
    """

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    given: Any = None
    error: str = ""
    warns: tuple[str, ...] = ()
    nearby: np.ndarray | None = None
    perfect: bool = False
    tolerance: float = 1e-9
    reason: str = ""


def case(name: str) -> Callable:
    """Enter the decorated function in the table."""

    def enter(make: Callable[[], Case]) -> Callable[[], Case]:
        assert name not in CASES
        CASES[name] = make
        return make

    return enter


def data(
    n: int = 40,
    p: int = 3,
    seed: int = 0,
    scale: Any = 1.0,
    offset: Any = 0.0,
    noise: float = 1.0,
    unit: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return X of the given scales and offsets, and y = unit (1 + effects of one sd of each column + noise)."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, p))
    return Z * scale + offset, unit * (1.0 + Z @ np.linspace(1.0, -0.5, p) + noise * rng.normal(size=n))


def correlated(
    gap: float, n: int = 40, offset: Any = 0.0, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return three columns, of which two correlate at 1 - gap, and y."""
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(n, 3))
    Z[:, 1] = (1.0 - gap) * Z[:, 0] + np.sqrt(gap * (2.0 - gap)) * Z[:, 1]
    return Z + offset, 1.0 + Z[:, 0] - Z[:, 2] + noise * rng.normal(size=n)
