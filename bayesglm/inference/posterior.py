"""The posterior as plain NumPy: named draws, sampler statistics, diagnostics, where they came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayesglm.inference.diagnostics import Diagnostics
from bayesglm.inference.exact import ExactPosterior
from bayesglm.inference.prior_set import PriorSet
from bayesglm.inference.sampling import Settings


@dataclass(frozen=True)
class Posterior:
    """Draws from a posterior, on the user's scale; refers to no estimator and no training data.

    Attributes
    ----------
    draws : dict of ndarray
        ``Intercept`` (chain, draw; absent without one), ``coef`` (chain, draw, p), ``sigma`` (chain, draw).
    stats : dict of ndarray of shape (chain, draw)
        Sampler statistics under ArviZ's names.
    features : tuple of str
        Names of the coefficients.
    how : {"diagonal", "nuts"}
        "diagonal": normal priors, NUTS in coordinates where the posterior is diagonal, and exact moments;
        "nuts": any other prior.
    settings : Settings
    tune : int
        Warm-up draws that were made a chain.
    entropy : int or sequence of int
        Of the seed sequence: `numpy.random.SeedSequence(entropy)` repeats the run.
    seconds : float
        Duration of sampling.
    prior_set : PriorSet
        The priors as they were used, after scaling.
    n_rows, weight : int, float
        Rows that the model was fitted to and the sum of their weights.
    diagnostics : Diagnostics
        Of the parameters in the order of `names`.
    exact : ExactPosterior or None
        Exact marginals, where the priors allow it.
    z_scores : ndarray of shape (k,) or None
        Distance of the draws' means from the exact ones in Monte Carlo standard errors.
    """

    draws: dict[str, np.ndarray]
    stats: dict[str, np.ndarray]
    features: tuple[str, ...]
    how: str
    settings: Settings
    tune: int
    entropy: Any
    seconds: float
    prior_set: PriorSet = field(repr=False)
    n_rows: int
    weight: float
    diagnostics: Diagnostics = field(repr=False)
    exact: ExactPosterior | None = field(repr=False)
    z_scores: np.ndarray | None = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters, in the order of the diagnostics."""
        return parameter_names(self.features, "Intercept" in self.draws)

    @property
    def priors(self) -> list[tuple[str, str]]:
        """Each parameter, or group of them, and its prior after scaling, in words."""
        return self.prior_set.describe()

    @property
    def n_divergences(self) -> int:
        """Number of transitions that diverged."""
        return int(self.stats["diverging"].sum())

    def stacked(self) -> np.ndarray:
        """Return the draws of all parameters, shape (k, chain, draw), in the order of `names`."""
        return stack(self.draws)

    def flat(self) -> tuple[np.ndarray, np.ndarray | float, np.ndarray]:
        """Return coef (S, p), intercept (S,) or 0.0 and sigma (S,), the chains one after another."""
        coef = self.draws["coef"]
        intercept = self.draws["Intercept"].reshape(-1) if "Intercept" in self.draws else 0.0
        return (
            coef.reshape(self.draws["sigma"].size, coef.shape[-1]),
            intercept,
            self.draws["sigma"].reshape(-1),
        )

    def __repr__(self) -> str:
        chains, draws = self.draws["sigma"].shape
        return (
            f"Posterior({chains} chains x {draws} draws of {len(self.names)} parameters, how={self.how!r}, "
            f"{self.n_divergences} divergences)"
        )


def parameter_names(features: tuple[str, ...], intercept: bool) -> tuple[str, ...]:
    """Return the names of all parameters: Intercept, the coefficients, sigma."""
    return (*(("Intercept",) if intercept else ()), *features, "sigma")


def stack(draws: dict[str, np.ndarray]) -> np.ndarray:
    """Return draws by name as one array of shape (k, chain, draw)."""
    coef = draws["coef"]
    first = int("Intercept" in draws)
    out = np.empty((coef.shape[-1] + first + 1, *coef.shape[:2]))
    if first:
        out[0] = draws["Intercept"]
    out[first:-1] = np.moveaxis(coef, -1, 0)
    out[-1] = draws["sigma"]
    return out
