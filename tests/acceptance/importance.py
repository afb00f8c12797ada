"""Moments of a posterior known by its log density, by importance sampling from a t distribution fitted to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from bayesglm.inference.diagnostics import diagnose


@dataclass(frozen=True)
class Moments:
    """Means and standard deviations of k parameters, each of shape (k,), and their Monte Carlo errors."""

    mean: np.ndarray
    sd: np.ndarray
    mean_error: np.ndarray
    sd_error: np.ndarray


def moments(
    log_density: Callable[[np.ndarray], np.ndarray],
    dim: int,
    draws: int = 100_000,
    *,
    function: Callable[[np.ndarray], np.ndarray] | None = None,
    seed: int = 0,
) -> Moments:
    """Return the moments of coordinates, or of functions of them.

    Parameters
    ----------
    log_density : callable
        Of points, shape (m, dim), but for a constant; minus infinity outside the support. Zeros are a point inside.
    dim : int
    draws : int
    function : callable, optional
        From points to what is asked for, shape (m, k).
    seed : int
    """
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        best = minimize(
            lambda q: -max(log_density(q[np.newaxis])[0], -1e300),
            np.zeros(dim),
            method="Nelder-Mead",
            options={"xatol": 1e-10, "fatol": 1e-10, "maxiter": 4000, "maxfev": 4000},
        ).x
        top = log_density(best[np.newaxis])[0]
        factor = np.diag([_width(log_density, best, j, top) for j in range(dim)])
        middle = best
        for count in (*(20_000,) * (3 + dim // 2), draws):
            # A parabola's tails are too light and a Cauchy's cost draws: four degrees of freedom.
            u = rng.standard_normal((count, dim)) / np.sqrt(rng.chisquare(4.0, (count, 1)) / 4.0)
            points = middle + u @ factor.T
            logs = np.concatenate(
                [log_density(block) for block in np.array_split(points, 1 + count // 20_000)]
            )
            logs += 0.5 * (4.0 + dim) * np.log1p((u**2).sum(axis=1) / 4.0)
            # Tempered weights while the proposal is poor: no single draw may decide the next one.
            power = 1.0
            while True:
                weight = np.exp(power * (logs - logs.max()))
                weight /= weight.sum()
                if 1.0 / (weight @ weight) > 300.0 or count == draws or power < 1e-3:
                    break
                power *= 0.7
            middle = weight @ points
            gaps = points - middle
            cov = gaps.T @ (gaps * weight[:, np.newaxis])
            size = np.sqrt(np.diagonal(cov))
            factor = size[:, np.newaxis] * np.linalg.cholesky(cov / np.outer(size, size) + 1e-6 * np.eye(dim))
        if function is not None:
            points = function(points)
            middle = weight @ points
            gaps = points - middle
            size = np.sqrt(weight @ gaps**2)
    squares = weight**2
    return Moments(
        middle,
        size,
        np.sqrt(squares @ gaps**2),
        np.sqrt(squares @ (gaps**2 - size**2) ** 2) / (2.0 * size),
    )


def _width(log_density: Callable, q: np.ndarray, j: int, top: float) -> float:
    """Return how far a coordinate goes until the density has fallen to about exp(-1/2)."""
    step = 1e-12
    while step < 1e3 and log_density((q + step * (np.arange(len(q)) == j))[np.newaxis])[0] > top - 0.5:
        step *= 1.5
    return step


def assert_moments(draws: np.ndarray, truth: Moments, names: Any = None, *, least: float = 0.015) -> None:
    """Check draws of shape (k, chains, draws) against moments known to some error.

    Four times ``least`` is how many standard deviations a mean must be off to be noticed for certain: 0.06. A standard
    deviation is noticed that is 11 % off.
    """
    found = diagnose(draws, 1)
    mean_error, sd_error = (
        np.hypot(found.mcse_mean, truth.mean_error),
        np.hypot(found.mcse_sd, truth.sd_error),
    )
    shown = {
        "names": names,
        "mean": (draws.mean(axis=(1, 2)) - truth.mean) / mean_error,
        "sd": (draws.std(axis=(1, 2)) - truth.sd) / sd_error,
        "errors of draws": (found.mcse_mean / truth.sd, found.mcse_sd / truth.sd),
        "of the oracle": (truth.mean_error / truth.sd, truth.sd_error / truth.sd),
    }
    assert np.all(mean_error < least * truth.sd), shown
    assert np.all(sd_error < 1.6 * least * truth.sd), shown
    assert np.all(np.abs(shown["mean"]) < 4.0), shown
    assert np.all(np.abs(shown["sd"]) < 4.5), shown


def assert_agree(
    draws: np.ndarray,
    log_density: Callable[[np.ndarray], np.ndarray],
    dim: int,
    function: Callable[[np.ndarray], np.ndarray],
    *,
    points: int = 300_000,
    least: float = 0.0125,
) -> None:
    """Check draws of shape (k, chains, draws) where tails are too heavy for standard deviations: bounded functions.

    ``least`` is the error allowed of them; four times it is a shift of 0.06 standard deviations, or a width of 6 %.
    """
    middle = np.median(draws, axis=(1, 2))
    unit = np.median(np.abs(draws - middle[:, np.newaxis, np.newaxis]), axis=(1, 2))

    def bounded(values: np.ndarray) -> np.ndarray:
        place = np.arctan((function(values) - middle) / unit)
        return np.column_stack([place, np.abs(place)])

    truth = moments(log_density, dim, points, function=bounded)
    place = np.arctan((draws - middle[:, np.newaxis, np.newaxis]) / unit[:, np.newaxis, np.newaxis])
    seen = np.concatenate([place, np.abs(place)])
    error = np.hypot(diagnose(seen, 1).mcse_mean, truth.mean_error)
    scores = (seen.mean(axis=(1, 2)) - truth.mean) / error
    assert np.all(error < least), (error, truth.mean_error, scores)
    assert np.all(np.abs(scores) < 4.5), (scores, error)
