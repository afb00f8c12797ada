"""Rows for robust regressions that leave posteriors with several modes."""

import numpy as np


def two_lines(seed: int, n: int, p: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of which each second lies on a line of slope 5, the others on one of slope -5."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    slope = np.where(np.arange(n) % 2, 5.0, -5.0)
    return X, slope * X[:, 0] + 0.1 * rng.normal(size=n)


def outlying_cluster(seed: int, n: int, p: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return rows near a line, a quarter of which lie together far above it."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    y = X[:, 0] + 0.1 * rng.normal(size=n)
    y[: n // 4] += 8.0 + 0.2 * rng.normal(size=n // 4)
    return X, y


def bimodal(seed: int, n: int, p: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return rows near two parallel lines, of which 45 % lie on the upper one."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X[:, 0] + 0.2 * rng.normal(size=n) + np.where(rng.random(n) < 0.45, 6.0, 0.0)


def cauchy(seed: int, n: int, p: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return rows near a line with Cauchy noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X[:, 0] + rng.standard_cauchy(n)


KINDS = {"two lines": two_lines, "outlying cluster": outlying_cluster, "bimodal": bimodal, "Cauchy": cauchy}
