"""Data sets of the performance scripts: seeded, and the same for whoever is measured."""

from __future__ import annotations

from typing import Any

import numpy as np


def tutorial() -> tuple[np.ndarray, np.ndarray]:
    """Return the data of PyMC's tutorial "GLM: Linear regression": 200 rows, one predictor."""
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 1.0, 200)
    return x[:, np.newaxis], 1.0 + 2.0 * x + rng.normal(0.0, 0.5, 200)


def regression(n: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ``n`` rows of ``p`` independent predictors and a response with noise of sd 1."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    y = X @ rng.standard_normal(p)
    y += rng.standard_normal(n)
    return X, y


def autoregressive(n: int, p: int, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    """Return ``n`` rows whose neighbouring columns are correlated, and a response."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    for j in range(1, p):
        X[:, j] = correlation * X[:, j - 1] + np.sqrt(1.0 - correlation**2) * X[:, j]
    return X, X @ rng.standard_normal(p) + rng.standard_normal(n)


def groups(n: int, kind: str) -> Any:
    """Return a frame of ``n`` rows: numbers x, z, w and y; g of 8 and h of 3 levels, as ``kind`` of column.

    ``kind`` is a dtype of pandas: ``"object"``, ``"str"`` or ``"category"``.
    """
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.uniform(1.0, 2.0, n), "w": rng.normal(size=n)})
    frame["y"] = 1.0 + 2.0 * frame["x"] + np.log(frame["z"]) + rng.normal(size=n)
    for name, levels in [("g", [f"level {i}" for i in range(8)]), ("h", list("abc"))]:
        values = np.array(levels, dtype=object)[rng.integers(0, len(levels), n)]
        frame[name] = pd.Series(values, dtype="object").astype(kind)
    return frame
