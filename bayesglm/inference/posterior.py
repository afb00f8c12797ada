"""The posterior as plain NumPy: named draws, sampler statistics, diagnostics, where they came from."""

from __future__ import annotations

from collections.abc import Sequence
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
    def parts(self) -> tuple[Posterior, ...]:
        """The posteriors of the single responses: this one."""
        return (self,)

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

    def means(self) -> dict[str, np.ndarray | float]:
        """Return posterior means by name: exact ones where they are known, else those of the draws."""
        if self.exact is not None:
            return self.exact.mean
        return {name: values.mean(axis=(0, 1)) for name, values in self.draws.items()}

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
        chains, draws = self.draws["sigma"].shape[:2]
        return (
            f"Posterior({chains} chains x {draws} draws of {len(self.names)} parameters, how={self.how!r}, "
            f"{self.n_divergences} divergences)"
        )


@dataclass(frozen=True)
class JointPosterior:
    """Posteriors of several responses to the same predictors, independent of each other.

    Attributes
    ----------
    parts : tuple of Posterior
        One a response.
    responses : tuple of str
        Their names.
    """

    parts: tuple[Posterior, ...]
    responses: tuple[str, ...]

    @property
    def draws(self) -> dict[str, np.ndarray]:
        """``Intercept`` (chain, draw, k), ``coef`` (chain, draw, k, p) and ``sigma`` (chain, draw, k)."""
        return join_draws([part.draws for part in self.parts])

    @property
    def stats(self) -> dict[str, np.ndarray]:
        """Sampler statistics of all responses together, each of shape (chain, draw)."""
        return join_stats([part.stats for part in self.parts])

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the predictors."""
        return self.parts[0].features

    @property
    def how(self) -> str:
        """How the posteriors were computed, as in `Posterior`."""
        return self.parts[0].how

    @property
    def settings(self) -> Settings:
        """Constants of the runs."""
        return self.parts[0].settings

    @property
    def tune(self) -> int:
        """Warm-up draws a chain, the most of any response."""
        return max(part.tune for part in self.parts)

    @property
    def entropy(self) -> Any:
        """Of the seed sequence whose children the responses used."""
        return self.parts[0].entropy

    @property
    def seconds(self) -> float:
        """Duration of sampling."""
        return sum(part.seconds for part in self.parts)

    @property
    def n_rows(self) -> int:
        """Rows that the models were fitted to."""
        return self.parts[0].n_rows

    @property
    def weight(self) -> float:
        """Sum of their weights."""
        return self.parts[0].weight

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters, response by response, such as ``y0: sigma``."""
        return tuple(
            f"{response}: {name}"
            for response, part in zip(self.responses, self.parts, strict=True)
            for name in part.names
        )

    @property
    def priors(self) -> list[tuple[str, str]]:
        """Each parameter, or group of them, and its prior after scaling, in words."""
        return [
            (f"{response}: {name}", text)
            for response, part in zip(self.responses, self.parts, strict=True)
            for name, text in part.priors
        ]

    @property
    def diagnostics(self) -> Diagnostics:
        """Of the parameters in the order of `names`."""
        columns = zip(*(vars(part.diagnostics).values() for part in self.parts), strict=True)
        return Diagnostics(*map(np.concatenate, columns))

    @property
    def z_scores(self) -> np.ndarray | None:
        """As in `Posterior`, in the order of `names`."""
        scores = [part.z_scores for part in self.parts if part.z_scores is not None]
        return np.concatenate(scores) if len(scores) == len(self.parts) else None

    @property
    def n_divergences(self) -> int:
        """Number of transitions that diverged."""
        return sum(part.n_divergences for part in self.parts)

    def stacked(self) -> np.ndarray:
        """Return the draws of all parameters, shape (number of names, chain, draw), in the order of `names`."""
        return np.concatenate([part.stacked() for part in self.parts])

    def __repr__(self) -> str:
        return f"JointPosterior({len(self.parts)} responses, each {self.parts[0]!r})"


def join_draws(draws: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the draws of several responses with one axis more, after those of chain and draw."""
    return {name: np.stack([part[name] for part in draws], axis=2) for name in draws[0]}


def join_stats(stats: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the statistics of several runs as those of one run of all: sums, means, or whether in any."""
    joined: dict[str, np.ndarray] = {}
    for name in stats[0]:
        values = np.stack([part[name] for part in stats])
        if values.dtype == bool:
            joined[name] = np.asarray(values.any(axis=0))
        elif name in ("lp", "energy", "n_steps"):
            joined[name] = values.sum(axis=0)
        elif name in ("tree_depth", "max_energy_error", "index_in_trajectory"):
            most = np.abs(values).argmax(axis=0)[np.newaxis]
            joined[name] = np.take_along_axis(values, most, axis=0)[0]
        else:
            joined[name] = values.mean(axis=0)
    return joined


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
