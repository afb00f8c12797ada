"""Are the posteriors right? Simulation-based calibration and predictive coverage, for any model and its own priors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.parallel import Parallel, delayed

from bayesglm.base import BayesianRegressor
from bayesglm.calibration import Calibration, PredictiveCoverage
from bayesglm.families import Family, Gaussian
from bayesglm.family_base import FamilyModel
from bayesglm.inference.posterior import estimated, estimated_labels, parameter_names, stack
from bayesglm.inference.prior_set import PriorSet
from bayesglm.inference.sampling import seed_sequence
from bayesglm.kernel.priors import Flat
from bayesglm.validation import check_fraction, check_int, check_memory, check_weights

__all__ = ["Calibration", "PredictiveCoverage", "predictive_coverage", "simulation_based_calibration"]

#: The quantity that is ranked beside the parameters: it notices what theirs cannot, such as data left out.
LOG_LIKELIHOOD = "log_likelihood"
#: Doubles that a simulation takes besides its ranks: its seed and its task.
SIMULATION_NUMBERS = 250.0


def simulation_based_calibration(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    n_simulations: int = 400,
    n_ranked: int = 99,
    sample_weight: Any = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    **row_arguments: Any,
) -> Calibration:
    """Check that a model's posteriors are right, by simulation from its own priors.

    Parameters are drawn from the prior and a response from the likelihood at the rows of X; the model is fitted to
    that, and the true parameters are ranked among posterior draws. Over many simulations the ranks are uniform if the
    computation is right, whatever model, prior and rows (Talts, Betancourt, Simpson, Vehtari & Gelman 2018). The log
    likelihood is ranked as well, since parameters alone cannot notice some faults (Modrák et al. 2023).

    Parameters
    ----------
    estimator : estimator
        A model of this package, with or without a formula. Its priors must be proper.
    X : array-like, sparse matrix or data frame of shape (n, p)
        The rows at which responses are simulated.
    y : array-like of shape (n,), optional
        Priors in units of the data (``autoscale``, the defaults) are bound to this response once, and stay so in all
        simulations. Not needed if the formula has a left side, or if the estimator is fitted: its priors are then
        those of its fit.
    n_simulations : int, default=400
    n_ranked : int, default=99
        Posterior draws among which the truth is ranked, evenly spaced out of all draws so that they are
        nearly independent.
    sample_weight : array-like of shape (n,), optional
        For ``weights_type="precision"`` only: rows of variance sigma²/w. A frequency says that equal rows were
        observed, which no simulation repeats.
    n_jobs : int, optional
        Processes. Results do not depend on it.
    random_state : None, int, RandomState or Generator
    **row_arguments
        ``offset``, ``exposure``, ``trials`` and ``standard_error``, as in ``fit``.

    Returns
    -------
    Calibration
        Ranks, p-values, a table (``print``) and a picture (``plot``).

    Raises
    ------
    TypeError
        If the estimator is none of this package; a pipeline's last step can be given with transformed rows.
    ValueError
        If a prior is flat, nothing says what the priors are to be bound to, or fewer than half of the simulated
        responses can be fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesglm import BayesianLinearRegression
    >>> from bayesglm.testing import simulation_based_calibration
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(20, 2))
    >>> y = X @ [1, -1] + rng.normal(size=20)
    >>> found = simulation_based_calibration(BayesianLinearRegression(), X, y, n_simulations=100, random_state=0)
    >>> found.names
    ('Intercept', 'x0', 'x1', 'sigma', 'log_likelihood')
    >>> bool(found.p_value > 0.01)
    True
    """
    simulator = _Simulator.prepare(estimator, X, y, sample_weight, row_arguments, n_ranked)
    found = _run(simulator, simulator.rank_parameters, n_simulations, n_jobs, random_state)
    reference = simulator.priors.reference
    labels = estimated_labels(simulator.labels, reference)
    parameters = parameter_names(estimated(simulator.draws, reference), simulator.features, labels)
    names = (*parameters, LOG_LIKELIHOOD)
    return Calibration(
        names, np.array([s.value for s in found.done]), n_ranked, found.refused, found.n_warned
    )


def predictive_coverage(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95),
    n_simulations: int = 400,
    n_ranked: int = 99,
    sample_weight: Any = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    **row_arguments: Any,
) -> PredictiveCoverage:
    """Check that a model's predictions hold what is then observed, as often as they say.

    As `simulation_based_calibration`; each simulation draws one more observation, at a row of X chosen at random,
    which is compared with the model's intervals and ranked among draws from its posterior predictive distribution.

    Parameters
    ----------
    estimator, X, y, n_simulations, n_ranked, sample_weight, n_jobs, random_state, **row_arguments
        As in `simulation_based_calibration`.
    levels : sequence of float, default=(0.5, 0.8, 0.9, 0.95)
        Coverages of the intervals.

    Returns
    -------
    PredictiveCoverage
        Coverages, p-values, a table (``print``) and a picture (``plot``).

    Raises
    ------
    TypeError, ValueError
        As `simulation_based_calibration`.
    """
    checked = np.array([check_fraction(level, "levels") for level in np.atleast_1d(np.asarray(levels))])
    simulator = _Simulator.prepare(estimator, X, y, sample_weight, row_arguments, n_ranked)
    if simulator.noise is not None:
        raise ValueError(
            "sample_weight: intervals are for new rows of weight 1, so that coverage takes no weights."
        )
    simulator.levels = checked
    found = _run(simulator, simulator.rank_observation, n_simulations, n_jobs, random_state)
    values = [s.value for s in found.done]
    return PredictiveCoverage(
        checked,
        None if simulator.is_classifier else np.array([held for held, _ in values]),
        np.array([pit for _, pit in values]),
        n_ranked,
        bool(simulator.family.discrete),
        found.refused,
        found.n_warned,
    )


class _Simulation(NamedTuple):
    """What came out of one simulation: a value, or the reason why its response could not be fitted."""

    value: Any
    refusal: str | None
    warned: bool


class _Found(NamedTuple):
    done: list[_Simulation]
    refused: tuple[str, ...]
    n_warned: int


def _run(
    simulator: _Simulator, task: Any, n_simulations: int, n_jobs: int | None, random_state: Any
) -> _Found:
    """Run a task of the simulator so many times, each with a seed of its own."""
    check_int(n_simulations, "n_simulations", 1)
    # A seed with its task, and what comes back of it.
    values = sum(draws[0, 0].size for draws in simulator.draws.values())
    what = f"n_simulations={n_simulations}"
    check_memory(n_simulations * (SIMULATION_NUMBERS + 3.0 * values), what, "ask for fewer")
    seeds = seed_sequence(random_state).spawn(n_simulations)
    found = list(Parallel(n_jobs=n_jobs)(delayed(task)(seed) for seed in seeds))
    done = [simulation for simulation in found if simulation.refusal is None]
    refused = tuple(simulation.refusal for simulation in found if simulation.refusal is not None)
    if len(refused) > len(done):
        raise ValueError(
            f"{len(refused)} of {n_simulations} responses drawn from the prior cannot be fitted: the prior is too wide "
            f"for these rows. The first reason was: {refused[0]}"
        )
    return _Found(done, refused, sum(simulation.warned for simulation in found))


@dataclass
class _Simulator:
    """One model with its rows and bound priors: draws truths and responses, fits, ranks."""

    model: Any  # unfitted, on the design matrix
    priors: PriorSet
    family: Family
    rows: Any
    x_mean: np.ndarray
    offset: np.ndarray | None
    extra: np.ndarray | None
    noise: np.ndarray | None  # of precision weights: sd of a row over sigma
    classes: np.ndarray | None
    draws: dict[str, np.ndarray]  # a few, for their shapes
    features: tuple[str, ...]
    labels: dict[str, tuple[str, ...]] | None
    n_ranked: int
    levels: np.ndarray | None = None

    @classmethod
    def prepare(
        cls, estimator: Any, X: Any, y: Any, sample_weight: Any, row_arguments: dict[str, Any], n_ranked: int
    ) -> _Simulator:
        """Bind the priors, once, and take the rows."""
        if not isinstance(estimator, BayesianRegressor | FamilyModel):
            raise TypeError(
                f"estimator must be a model of bayesglm, got {type(estimator).__name__}: of a pipeline, give the last "
                "step, and the rows that reach it as X."
            )
        check_int(n_ranked, "n_ranked", 1)
        total = estimator.chains * estimator.draws
        if total < n_ranked + 1:
            raise ValueError(
                f"n_ranked={n_ranked} needs more draws than that, and a fit has {total}: raise draws."
            )
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        if weights and estimator.weights_type != "precision":
            raise ValueError(
                "sample_weight: weights that count equal rows have no simulation; repeat the rows, or use "
                'weights_type="precision" of BayesianLinearRegression.'
            )
        fitted = _with_bound_priors(estimator, X, y, weights, row_arguments)
        part = fitted.posterior_.parts[0]
        _refuse_flat(part.prior_set)
        rows = fitted._rows(X)
        n = rows.shape[0]
        offset, extra = (None, None) if _is_linear(fitted) else fitted._row_arguments(X, n, row_arguments)
        noise = None
        kept = np.ones(n, dtype=bool) if not isinstance(rows, np.ndarray) else np.isfinite(rows).all(axis=1)
        for more in (offset, extra):
            kept &= True if more is None else np.isfinite(more)
        if weights:
            precision = check_weights(sample_weight, n, "precision")
            assert precision is not None
            kept &= precision > 0.0
            noise = 1.0 / np.sqrt(np.where(precision > 0.0, precision, 1.0))
        offset, extra, noise = (None if a is None else a[kept] for a in (offset, extra, noise))
        model = clone(estimator).set_params(
            formula=None, fit_intercept=fitted._intercept, n_jobs=1, progressbar=False
        )
        return cls(
            model=model,
            priors=part.prior_set,
            family=Gaussian() if _is_linear(fitted) else fitted._family,
            rows=rows[kept],
            x_mean=fitted._x_mean,
            offset=offset,
            extra=extra,
            noise=noise,
            classes=getattr(fitted, "classes_", None),
            draws=part.draws,
            features=part.features,
            labels=part.labels,
            n_ranked=n_ranked,
        )

    @property
    def is_classifier(self) -> bool:
        """Whether responses are classes."""
        return self.classes is not None

    # -- what is repeated ----------------------------------------------------------------------------

    def rank_parameters(self, seeds: np.random.SeedSequence) -> _Simulation:
        """Rank the truth among posterior draws, and its log likelihood among theirs."""
        rng = np.random.default_rng(seeds)
        truth = self._truth(rng)
        y = self._respond(rng, truth, np.arange(self.rows.shape[0]))
        model, reason, warned = self._fit(rng, y)
        if model is None:
            return _Simulation(None, reason, warned)
        draws = self._spaced(model)
        own, others = (estimated(found, self.priors.reference) for found in (truth, draws))
        of_truth = np.append(stack(own)[:, 0, 0], self._log_likelihood(truth, y))
        of_draws = np.vstack([stack(others)[:, 0], self._log_likelihood(draws, y)])
        return _Simulation((of_draws < of_truth[:, np.newaxis]).sum(axis=1), None, warned)

    def rank_observation(self, seeds: np.random.SeedSequence) -> _Simulation:
        """Compare one new observation with the intervals, and rank it among predictive draws."""
        rng = np.random.default_rng(seeds)
        truth = self._truth(rng)
        y = self._respond(rng, truth, np.arange(self.rows.shape[0]))
        row = rng.integers(self.rows.shape[0], size=1)
        new = float(self._respond(rng, truth, row)[0])
        model, reason, warned = self._fit(rng, y)
        if model is None:
            return _Simulation(None, reason, warned)
        predicted = self._respond(rng, self._spaced(model), row)[..., 0]
        # Ties are broken at random, so that the rank of a discrete response is uniform, too.
        rank = (predicted < new).sum() + rng.integers((predicted == new).sum() + 1)
        pit = (rank + rng.random()) / (self.n_ranked + 1)
        held = None if self.is_classifier else self._held(model, row, new)
        return _Simulation((held, pit), None, warned)

    # -- inside --------------------------------------------------------------------------------------

    def _truth(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw parameters from the prior, shaped as one draw of one chain."""
        drawn = self.priors.draw(rng, 1, self.x_mean)
        return {name: drawn[name][np.newaxis] for name in self.draws}

    def _predictors(
        self, draws: dict[str, np.ndarray], rows: Any
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return linear predictors (1, draw, row[, K]) at rows by number, and what else the likelihood has."""
        coef = draws["coef"][0]
        eta = np.asarray(self.rows[rows] @ np.moveaxis(coef, -1, 0).reshape(coef.shape[-1], -1))
        eta = np.moveaxis(eta.reshape(len(rows), *coef.shape[:-1]), 0, 1)  # draw, row[, K]
        if "Intercept" in draws:
            eta = eta + draws["Intercept"][0][:, np.newaxis]
        if self.offset is not None:
            offset = self.offset[rows]
            eta = eta + (
                offset[:, np.newaxis] * self.priors.reached if self.family.n_predictors > 1 else offset
            )
        aux = {name: draws[name][..., np.newaxis] for name in self.family.aux}
        if self.noise is not None:
            aux = {"sigma": aux["sigma"] * self.noise[rows]}
        return eta[np.newaxis], aux

    def _extra(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self.extra is None else self.extra[rows]

    def _respond(
        self, rng: np.random.Generator, draws: dict[str, np.ndarray], rows: np.ndarray
    ) -> np.ndarray:
        """Draw responses at rows by number: shape (row,) for one draw of parameters, else (draw, row)."""
        eta, aux = self._predictors(draws, rows)
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # what overflows cannot be fitted, and is counted so
            y = np.asarray(self.family.draw(rng, eta, aux, self._extra(rows)), dtype=float)[0]
        return y[0] if len(y) == 1 else y

    def _log_likelihood(self, draws: dict[str, np.ndarray], y: np.ndarray) -> np.ndarray:
        """Return the log likelihood of each draw, shape (draw,)."""
        rows = np.arange(len(y))
        eta, aux = self._predictors(draws, rows)
        return np.asarray(self.family.logpdf(y, eta, aux, self._extra(rows)))[0].sum(axis=-1)

    def _fit(self, rng: np.random.Generator, y: np.ndarray) -> tuple[Any, str | None, bool]:
        """Fit to a simulated response with the priors as they are: model, or why not, and whether it warned."""
        if self.classes is not None and len(np.unique(y)) < len(self.classes):
            return None, "some classes are not among the simulated ones", False
        model = clone(self.model).set_params(random_state=int(rng.integers(2**31)))
        # In place of binding the priors to the response, which would make them depend on it.
        model._bound_priors = lambda data: self.priors
        more = {} if self.noise is None else {"sample_weight": self.noise**-2}
        if self.offset is not None:
            more["offset"] = self.offset
        if self.extra is not None:
            more[str(self.family.extra)] = self.extra
        response = y if self.classes is None else self.classes[y.astype(int)]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                model.fit(self.rows, response, **more)
            except ValueError as error:
                return None, str(error), False
        return model, None, bool(caught)

    def _spaced(self, model: Any) -> dict[str, np.ndarray]:
        """Return nearly independent draws, evenly spaced in every chain, as one chain."""
        out = {}
        for name, values in model.posterior_.draws.items():
            pooled = values.reshape(-1, *values.shape[2:])
            out[name] = pooled[:: len(pooled) // (self.n_ranked + 1)][: self.n_ranked][np.newaxis]
        return out

    def _held(self, model: Any, row: np.ndarray, new: float) -> np.ndarray:
        """Return for each level whether the model's interval holds the new observation."""
        given: dict[str, Any] = {} if self.offset is None else {"offset": self.offset[row]}
        if self.extra is not None:
            given[str(self.family.extra)] = self.extra[row]
        assert self.levels is not None
        intervals = [model.predict_interval(self.rows[row], level, **given)[0] for level in self.levels]
        return np.array([low <= new <= high for low, high in intervals])


def _is_linear(estimator: Any) -> bool:
    return isinstance(estimator, BayesianRegressor)


def _with_bound_priors(
    estimator: Any, X: Any, y: Any, weights: dict[str, Any], row_arguments: dict[str, Any]
) -> Any:
    """Return the estimator, fitted: as it is, or to X and y with a few draws."""
    if y is None and hasattr(estimator, "posterior_"):
        fitted = estimator
    else:
        left, tilde, _ = str(estimator.formula or "").partition("~")
        if y is None and not (tilde and left.strip()):
            raise NotFittedError(
                "y: priors can be in units of the response, so give one that they are bound to, or an estimator that "
                "is fitted."
            )
        fitted = clone(estimator).set_params(draws=10, chains=1, progressbar=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ten draws nobody expects anything
            fitted.fit(X, y, **weights, **row_arguments)
    if len(fitted.posterior_.parts) > 1:
        raise ValueError("y: several responses are calibrated one at a time; give one.")
    return fitted


def _refuse_flat(priors: PriorSet) -> None:
    """Refuse what nothing can be drawn from."""
    named = [
        *zip(priors.labels, priors.coef, strict=True),
        ("Intercept", priors.intercept),
        *priors.aux.items(),
    ]
    for label, prior in named:
        if isinstance(prior, Flat):
            raise ValueError(
                f"The prior of {label} is flat, so that no truth can be drawn from it: give a proper prior."
            )
