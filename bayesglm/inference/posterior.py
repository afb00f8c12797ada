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
        ``Intercept`` (chain, draw; absent without one), ``coef`` (chain, draw, p), then the auxiliary parameters
        of the likelihood, such as ``sigma`` (chain, draw), then what the prior learns. With K > 2 classes the
        former two have one axis more behind the draws, of length K: a row for each class, that of a reference zero.
    stats : dict of ndarray of shape (chain, draw)
        Sampler statistics under ArviZ's names.
    features : tuple of str
        Names of the coefficients.
    how : {"diagonal", "collapsed", "nuts", "batch"}
        "diagonal": normal priors, NUTS in coordinates where the posterior is diagonal, and exact moments;
        "collapsed": a learned prior scale, the coefficients integrated out; "nuts": any other prior or likelihood;
        "batch": another likelihood, proposals judged in batches, NUTS in between.
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
    labels : dict of tuple of str or None
        What the last axis of a variable stands for, by variable, where it is not the features; under
        ``"coef"``, the classes that coefficients belong to.
    likelihood : str
        How an observation is distributed, in words.
    remarks : tuple of str
        What the route itself found wrong, to be warned of beside what the diagnostics say.
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
    labels: dict[str, tuple[str, ...]] | None = None
    likelihood: str = "Normal(mean, sigma)"
    remarks: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[Posterior, ...]:
        """The posteriors of the single responses: this one."""
        return (self,)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters, in the order of the diagnostics; a reference class has none."""
        reference = self.prior_set.reference
        labels = estimated_labels(self.labels, reference)
        return parameter_names(estimated(self.draws, reference), self.features, labels)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of chains and of draws a chain."""
        return self.draws["coef"].shape[:2]

    @property
    def priors(self) -> list[tuple[str, str]]:
        """Each parameter, or group of them with the same one, and its prior after scaling, in words."""
        return self.describe_priors()

    def describe_priors(self, most: int | None = None) -> list[tuple[str, str]]:
        """Return `priors`, with the range of more than so many scales in place of each."""
        return self.prior_set.describe(self.features, most)

    @property
    def n_divergences(self) -> int:
        """Number of transitions that diverged."""
        return int(self.stats["diverging"].sum())

    def means(self) -> dict[str, np.ndarray | float]:
        """Return posterior means by name: exact ones where they are known, else those of the draws."""
        if self.exact is not None:
            return self.exact.mean
        return {name: _mean(values) for name, values in self.draws.items()}

    def stacked(self) -> np.ndarray:
        """Return the draws of all parameters, shape (k, chain, draw), in the order of `names`."""
        return stack(estimated(self.draws, self.prior_set.reference))

    def flat(self) -> tuple[np.ndarray, np.ndarray | float, np.ndarray]:
        """Return coef (S, p), intercept (S,) or 0.0 and sigma (S,), the chains one after another.

        For the Gaussian likelihood with one response.
        """
        coef = self.draws["coef"]
        intercept = self.draws["Intercept"].reshape(-1) if "Intercept" in self.draws else 0.0
        return (
            coef.reshape(self.draws["sigma"].size, coef.shape[-1]),
            intercept,
            self.draws["sigma"].reshape(-1),
        )

    def __repr__(self) -> str:
        chains, draws = self.shape
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
        """Each parameter, or group of them with the same one, and its prior after scaling, in words."""
        return self.describe_priors()

    def describe_priors(self, most: int | None = None) -> list[tuple[str, str]]:
        """Return `priors`, with the range of more than so many scales in place of each."""
        return [
            (f"{response}: {name}", text)
            for response, part in zip(self.responses, self.parts, strict=True)
            for name, text in part.describe_priors(most)
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


def estimated(draws: dict[str, np.ndarray], reference: int | None) -> dict[str, np.ndarray]:
    """Return the draws without the coefficients of a reference class, which are zero and no parameters."""
    if reference is None:
        return draws
    of_class = ("Intercept", "coef")
    return {
        name: np.delete(values, reference, axis=2) if name in of_class else values
        for name, values in draws.items()
    }


def estimated_labels(
    labels: dict[str, tuple[str, ...]] | None, reference: int | None
) -> dict[str, tuple[str, ...]] | None:
    """Return labels, as in `Posterior`, without that of a reference class."""
    if reference is None or labels is None:
        return labels
    classes = labels["coef"]
    return {**labels, "coef": classes[:reference] + classes[reference + 1 :]}


def parameter_names(
    draws: dict[str, np.ndarray],
    features: tuple[str, ...],
    labels: dict[str, tuple[str, ...]] | None = None,
) -> tuple[str, ...]:
    """Return the names of all parameters in the order of `stack`.

    Parameters
    ----------
    draws : dict of ndarray of shape (chain, draw, ...)
    features : tuple of str
        Names of the coefficients.
    labels : dict of tuple of str, optional
        As in `Posterior`.

    Returns
    -------
    tuple of str
        A coefficient has the name of its feature, ``x[b]`` if it belongs to class b; an entry of another
        variable that is not a single number is called ``variable[label]``.
    """
    labels = labels or {}
    names: list[str] = []
    for variable, values in draws.items():
        classes = labels.get("coef")
        if variable == "coef":
            groups = [""] if classes is None else [f"[{label}]" for label in classes]
            names += [f"{feature}{group}" for group in groups for feature in features]
        elif values.ndim == 2:
            names.append(variable)
        else:
            own = classes if variable == "Intercept" else labels.get(variable)
            ends = own or tuple(map(str, range(values.shape[-1])))
            names += [f"{variable}[{end}]" for end in ends]
    return tuple(names)


def stack(draws: dict[str, np.ndarray]) -> np.ndarray:
    """Return draws by name as one array of shape (k, chain, draw), variable by variable."""
    shape = draws["coef"].shape[:2]
    sizes = [int(np.prod(values.shape[2:])) for values in draws.values()]
    out = np.empty((sum(sizes), *shape))
    first = 0
    for values, size in zip(draws.values(), sizes, strict=True):
        out[first : first + size] = np.moveaxis(values.reshape(*shape, size), -1, 0)
        first += size
    return out


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the means over chains and draws, where their sum overflows too."""
    with np.errstate(over="ignore"):
        found = np.asarray(values.mean(axis=(0, 1)))
    if not np.all(np.isfinite(found)):
        found = np.asarray((values / (values.shape[0] * values.shape[1])).sum(axis=(0, 1)))
    return found
