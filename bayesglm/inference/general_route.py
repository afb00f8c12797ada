"""The general route: any likelihood, any prior. Mode, curvature, whitening, then batches where they serve, or NUTS."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import eigvalsh

from bayesglm.inference.curvature import Curvature
from bayesglm.inference.diagnostics import (
    MAX_CUT_SHORT,
    MAX_RHAT,
    MIN_BFMI,
    MIN_ESS_PER_CHAIN,
    Diagnostics,
    bfmi,
    diagnose,
)
from bayesglm.inference.fast_lane import more_batch, run_batch
from bayesglm.inference.laplace import LaplaceFit, fit_laplace
from bayesglm.inference.modes import highest_and_others
from bayesglm.inference.posterior import Posterior, stack
from bayesglm.inference.prior_set import PriorSet, StandardisedPriors
from bayesglm.inference.progress import Progress
from bayesglm.inference.regression_data import RegressionData
from bayesglm.inference.sampling import (
    TUNE_UNKNOWN_SCALE,
    ChainState,
    Run,
    Settings,
    again,
    continued,
    resume,
    run,
    seed_sequence,
)
from bayesglm.kernel.coefficient_maps import CoefMap, MappedTarget, PositiveMap, TailMap
from bayesglm.kernel.continuous import StudentT as StudentTNoise
from bayesglm.kernel.family import Family
from bayesglm.kernel.priors import LARGEST, Cauchy, Flat, JointPrior, Normal, Prior, StudentT
from bayesglm.kernel.regression import RegressionTarget
from bayesglm.kernel.sparse_priors import LearnedNormal
from bayesglm.kernel.target import AffineTarget

#: A guess at the posterior standard deviation of the logarithms of scales that a prior learns.
WIDTH_OF_HYPER = 0.5
#: Share of its curvature at the start that the likelihood keeps at a mode, if there is one.
VANISHED = 1e-7
#: Chains of fewer draws say nothing of how well they mix.
SHORT = 400
#: What an R-hat and a share of divergences may be for a run to go on by itself, instead of telling the user.
SLIGHT_RHAT, SLIGHT_DIVERGENCE = 1.03, 0.01
#: Degrees of freedom below which a t prior's tail is mapped: where the data do not speak, chains have to walk it.
TAILS_TO_MAP = 10.0


class UndeterminedError(ValueError):
    """A flat prior leaves a posterior without a mode.

    Attributes
    ----------
    columns : ndarray of int
        Columns of X among which the data cannot tell, as far as they are known.
    """

    def __init__(self, columns: np.ndarray):
        super().__init__("the data do not determine the coefficients")
        self.columns = columns


class GeneralRoute:
    """A fitted model's way from its rows to draws; can go on drawing as long as it has them.

    Parameters
    ----------
    data : RegressionData
    priors : PriorSet
    sampler : {"auto", "nuts"}, default="auto"
        Whether batches of proposals may be used.

    Attributes
    ----------
    how : {"batch", "nuts"}
        What made the draws; "nuts" until there are some.
    laplace : LaplaceFit or None
        The approximation at the mode; None where the prior is hierarchical and there is none of use.

    Raises
    ------
    UndeterminedError
        If the posterior is improper.
    """

    def __init__(self, data: RegressionData, priors: PriorSet, sampler: str = "auto"):
        self.how = "nuts"
        self.sampler = sampler
        self.family = data.family
        self._x_mean, self._x_unit = data.x_mean, data.x_unit
        self._y_mean, self._y_unit, self._aux_units = data.y_mean, data.y_unit, data.aux_units
        self._intercept, self._p = data.intercept, data.design.n_columns
        standardised = priors.standardised(data)
        self.laplace: LaplaceFit | None = None
        self.target: AffineTarget | None
        self._others: list[LaplaceFit] = []
        if standardised.sparse is not None:
            self.target = _hierarchical(data, priors, standardised)
        else:
            self.laplace, self.target, self._others = _whitened(data, standardised)

    @classmethod
    def without_rows(cls, family: Family, how: str) -> GeneralRoute:
        """Return the route of a model that was loaded from a file: it has no rows, and says so."""
        route = cls.__new__(cls)
        route.family, route.how, route.target = family, how, None
        return route

    def __getstate__(self) -> dict[str, Any]:
        # A pickle is small and holds nobody's data; what needs them says so.
        return {**self.__dict__, "target": None}

    def sample(
        self,
        settings: Settings,
        random_state: Any,
        data: RegressionData,
        priors: PriorSet,
        features: tuple[str, ...],
        listener: Callable[[float], None] | None = None,
        labels: dict[str, tuple[str, ...]] | None = None,
    ) -> Posterior:
        """Warm up, sample, diagnose.

        Parameters
        ----------
        settings : Settings
        random_state : None, int, RandomState, Generator or SeedSequence
        data, priors
            What the route was made from, for the record.
        features : tuple of str
        listener : callable, optional
            Told the share of the sampling that is done, from 0 to 1.
        labels : dict, optional
            See `Posterior`.

        Returns
        -------
        Posterior
        """
        assert self.target is not None
        begin = time.perf_counter()
        seeds = seed_sequence(random_state)
        total = settings.draws + (TUNE_UNKNOWN_SCALE if settings.tune is None else settings.tune)
        found: Run | None = None
        with Progress(total, settings.progressbar, listener) as progress:
            if self.sampler == "auto" and self.laplace is not None and self.target.dim and not self._others:
                batch = run_batch(self.target, settings, seeds, progress)
                if batch is not None and self._serves(batch[0]):
                    found, self._thin = batch
            self.how = "nuts" if found is None else "batch"
            if found is None:
                found = run(
                    self.target,
                    settings,
                    seeds,
                    known_scale=False,
                    progress=progress,
                    regions=self._regions(),
                )
            draws = self._to_user(found)
            diagnostics = diagnose(stack(draws), settings.n_threads)
            if self.how == "nuts" and settings.tune is None and _falls_a_little_short(found, diagnostics):
                found = again(found, settings, seeds, progress)
                draws = self._to_user(found)
                diagnostics = diagnose(stack(draws), settings.n_threads)
        assert isinstance(found.target, AffineTarget)
        self.target = found.target
        self._states: list[ChainState] = found.states
        return Posterior(
            draws=draws,
            stats=found.stats,
            features=features,
            how=self.how,
            settings=settings,
            tune=found.tune,
            entropy=seeds.entropy,
            seconds=time.perf_counter() - begin,
            prior_set=priors,
            n_rows=data.n_rows,
            weight=data.weight,
            diagnostics=diagnostics,
            exact=None,
            z_scores=None,
            labels=labels,
            likelihood=self.family.in_words(),
        )

    def more(self, draws: int, settings: Settings, random_state: Any = None) -> tuple[dict, dict]:
        """Return ``draws`` further draws a chain and their statistics; the route itself does not change.

        Raises
        ------
        ValueError
            If the route has been unpickled and has no rows any more.
        """
        if self.target is None:
            raise ValueError(
                "This estimator was loaded without its training data, which new draws need: fit it again, or use the "
                "draws it has by sample_posterior()."
            )
        settings = dataclasses.replace(settings, draws=draws, tune=0)
        with Progress(draws, settings.progressbar) as progress:
            if self.how == "batch":
                bits = continued(self._states, random_state)
                found = more_batch(self.target, self._states, settings, bits, self._thin, progress)
            else:
                found = resume(self.target, self._states, settings, random_state, progress)
        return self._to_user(found), found.stats

    def _regions(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return further modes and roots of their covariances in the whitened space."""
        if self.laplace is None or not self._others:
            return []
        inverse = np.linalg.inv(self.laplace.factor)
        return [(inverse @ (fit.mode - self.laplace.mode), inverse @ fit.factor) for fit in self._others]

    def _serves(self, found: Run) -> bool:
        """Whether draws by batches are as many effective ones as a user is told to want; else NUTS is asked."""
        if found.stats["diverging"].any():
            return False  # NUTS' steps in between are not tuned: that says nothing of the posterior
        if found.draws.shape[1] < SHORT:
            return True
        diagnostics = diagnose(np.moveaxis(found.draws, -1, 0), 1)
        least = MIN_ESS_PER_CHAIN * found.draws.shape[0]
        ess = np.minimum(diagnostics.ess_bulk, diagnostics.ess_tail)
        return bool(np.all(ess >= 2.0 * least) and np.all(diagnostics.rhat <= MAX_RHAT))

    def _to_user(self, found: Run) -> dict[str, np.ndarray]:
        """Map whitened draws to the user's units; intercepts to those at zero."""
        target = found.target
        assert isinstance(target, AffineTarget)
        q = target.unwhiten(found.draws)
        hyper: dict[str, np.ndarray] = {}
        if isinstance(target.inner, MappedTarget):
            hyper = target.inner.hyper(q)
            q = target.inner.unwhiten(q)
        K, p, first = self.family.n_predictors, self._p, int(self._intercept)
        linear = q[..., : K * (p + first)].reshape(*q.shape[:2], K, p + first)
        coef = linear[..., first:] * (self._y_unit / self._x_unit)
        draws: dict[str, np.ndarray] = {}
        if first:
            draws["Intercept"] = self._y_mean + self._y_unit * linear[..., 0] - coef @ self._x_mean
        draws["coef"] = coef
        if K == 1:
            draws = {name: values[:, :, 0] for name, values in draws.items()}
        for i, name in enumerate(self.family.aux):
            with np.errstate(over="ignore"):
                values = np.exp(q[..., K * (p + first) + i]) * self._aux_units.get(name, 1.0)
            draws[name] = np.minimum(values, LARGEST)
        return {name: np.ascontiguousarray(values) for name, values in (draws | hyper).items()}


def _falls_a_little_short(found: Run, diagnostics: Diagnostics) -> bool:
    """Whether a run by NUTS has only too few effective draws, or a divergence in a hundred draws at most.

    Chains that disagree, energies that move slowly or trajectories cut short are no such thing: more draws would not
    tell the user's trouble from chance.
    """
    if found.draws.shape[1] < SHORT or not found.draws.size:
        return False
    ess = np.fmin(diagnostics.ess_bulk, diagnostics.ess_tail)
    diverging = float(found.stats["diverging"].mean())
    if (
        np.any(diagnostics.rhat > SLIGHT_RHAT)
        or np.any(np.isnan(ess))
        or diverging > SLIGHT_DIVERGENCE
        or np.any(bfmi(found.stats["energy"]) < MIN_BFMI)
        or found.stats["reached_max_treedepth"].mean(axis=1).max() > MAX_CUT_SHORT
    ):
        return False
    return diverging > 0.0 or bool(np.any(ess < MIN_ESS_PER_CHAIN * found.draws.shape[0]))


def _regression(
    data: RegressionData, priors: StandardisedPriors, coef_prior: Prior | None
) -> RegressionTarget:
    """Return the target in the design's coordinates."""
    aux: Prior | None = None
    for i, prior in enumerate(priors.aux.values()):
        own = _rebound(prior, np.array([i]))
        aux = own if aux is None else JointPrior(aux, own)
    return RegressionTarget(
        data.design,
        data.family.in_unit(data.response_unit),
        data.y,
        weight=data.weights,
        extra=data.extra,
        offset=data.offset,
        intercept=data.intercept,
        shift=priors.shift,
        coef_prior=coef_prior,
        intercept_prior=priors.intercept,
        aux_prior=aux,
    )


def _rebound(prior: Prior, index: np.ndarray) -> Prior:
    """Return a bound prior that serves other coordinates."""
    _, loc, scale, truncated = prior.bound
    copy = type(prior)(**prior.get_params())
    copy._attach((np.ascontiguousarray(index, dtype=np.intp), loc, scale, truncated))
    return copy


def _joint(priors: StandardisedPriors, n_predictors: int, p: int) -> Prior | None:
    """Return the coefficients' priors as one, for all linear predictors."""
    joint: Prior | None = None
    for k in range(n_predictors):
        for prior in priors.coef:
            own = _rebound(prior, np.asarray(prior.bound[0]) + k * p)
            joint = own if joint is None else JointPrior(joint, own)
    return joint


def _start(data: RegressionData, target: RegressionTarget) -> np.ndarray:
    """Return the point of a model without predictors."""
    q = np.zeros(target.dim)
    width = data.design.n_columns + data.intercept
    if data.intercept:
        q[: target.n_linear : width] = (np.asarray(data.level) - data.y_mean) / data.y_unit
    for i, name in enumerate(data.family.aux):
        q[target.n_linear + i] = np.log(data.aux_start[name])
    return q


def _whitened(
    data: RegressionData, priors: StandardisedPriors
) -> tuple[LaplaceFit, AffineTarget, list[LaplaceFit]]:
    """Return the approximation at the mode, the target in its coordinates, and further modes."""
    p, K, first = data.design.n_columns, data.family.n_predictors, int(data.intercept)
    coef_map = _elementwise_map(data, priors)
    plain = _regression(data, priors, _joint(priors, K, p) if coef_map is None else None)
    start = _start(data, plain)
    target: RegressionTarget | MappedTarget = plain
    if coef_map is not None:
        target = MappedTarget(plain, coef_map, first)
        # Within reach of the likelihood: a coefficient that must be positive may be small.
        start[first : first + p] = coef_map.at(_within(priors, p))
    value, gradient = target(start)
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        raise ValueError(
            "The likelihood is no number where all coefficients are zero: y, offset or exposure are too large or too "
            "far from each other; check their units, and fit an intercept."
        )
    curvature = Curvature(target, priors)
    fit, others = highest_and_others(data, target, curvature, fit_laplace(target, start, curvature))
    data.warn_of_exact_fit(fit.mode, fit.converged)
    if any(isinstance(prior, Flat) for prior in (*priors.coef, priors.intercept)):
        if fit.flat.shape[1]:
            raise UndeterminedError(_undetermined(fit, p, K, first))
        # Where classes are separated the likelihood rises for ever, and its curvature goes to nothing on the way.
        n = plain.n_linear
        before, after = curvature(start)[:n, :n], fit.curvature[:n, :n]
        # (With Student's t the climb may just be slow: where lines through two groups of rows are nearly as good.)
        lost = not fit.converged and not isinstance(data.family, StudentTNoise)
        if lost or eigvalsh(after, before)[0] < VANISHED:
            raise UndeterminedError(np.zeros(0, dtype=np.intp))
    return fit, AffineTarget(target, fit.mode, fit.factor), others


def _within(priors: StandardisedPriors, p: int) -> np.ndarray:
    """Return coefficients to start from: zero, or a little more where they must be positive."""
    found = np.zeros(p)
    for prior in priors.coef:
        index, _, scale, _ = prior.bound
        found[index] = np.where(priors.positive[index], np.minimum(0.1, 0.5 * scale), 0.0)
    return found


def _undetermined(fit: LaplaceFit, p: int, K: int, first: int) -> np.ndarray:
    """Return the columns that take part in what the data leave open."""
    if not fit.flat.shape[1]:
        return np.zeros(0, dtype=np.intp)
    share = np.abs(fit.flat[: K * (p + first)]).max(axis=1).reshape(K, p + first)[:, first:].max(axis=0)
    return np.flatnonzero(share > 1e-6)


def _elementwise_map(data: RegressionData, priors: StandardisedPriors) -> CoefMap | None:
    """Return the map of coefficients that must be positive or have heavy tails, or None if there are none."""
    several = data.family.n_predictors > 1
    if priors.positive.any():
        if several:
            raise ValueError(
                "positive=True and priors on the positive numbers have no meaning for log odds of several classes; "
                "use priors on the real line."
            )
        unit = np.zeros(len(priors.positive))
        for prior in priors.coef:
            index, _, scale, _ = prior.bound
            unit[index] = np.where(priors.positive[index], np.minimum(scale, 1.0), 0.0)
        joint = priors.joint()
        assert joint is not None
        return PositiveMap(joint, unit)
    heavy = any(
        isinstance(prior, Cauchy) or (isinstance(prior, StudentT) and prior.df < TAILS_TO_MAP)
        for prior in priors.coef
    )
    if heavy and not several:
        return TailMap(priors.coef, len(priors.positive))
    return None


def _hierarchical(data: RegressionData, bound: PriorSet, priors: StandardisedPriors) -> AffineTarget:
    """Return a target of the coordinates that a prior on all coefficients together has, roughly scaled."""
    sparse = priors.sparse
    assert sparse is not None
    if data.family.n_predictors > 1:
        raise ValueError(
            f"prior={bound.coef[0].resolved()} serves one linear predictor, not several classes; use Normal."
        )
    p, first = data.design.n_columns, int(data.intercept)
    # A normal prior finds where the clear signals are, and what the likelihood knows of each coefficient.
    ridge = dataclasses.replace(
        priors, coef=(Normal(0.0, 1.0).bind(np.arange(p)),), positive=np.zeros(p, bool)
    )
    surrogate = _regression(data, ridge, ridge.joint())
    fit = fit_laplace(surrogate, _start(data, surrogate), Curvature(surrogate, ridge))
    information = np.maximum(np.diagonal(surrogate.information(fit.mode))[first : first + p], 1e-12)
    coef_map = sparse.coef_map(scaled=False, information=information)
    plain = _regression(data, priors, None)
    target = MappedTarget(plain, coef_map, first)
    estimate = fit.mode[first : first + p]
    clear = np.abs(estimate) * np.sqrt(information) > 3.0
    size = coef_map.size
    start, width = np.zeros(target.dim), np.ones(target.dim)
    start[:first], start[first + size :] = fit.mode[:first], fit.mode[first + p :]
    start[first : first + size] = coef_map.at(np.where(clear, estimate, 0.0))
    sd = np.sqrt(np.sum(fit.factor**2, axis=1))
    width[:first], width[first + size :] = sd[:first], sd[first + p :]
    hyper = p if isinstance(sparse, LearnedNormal) else 2 * p
    width[first + hyper : first + size] = WIDTH_OF_HYPER
    return AffineTarget(target, start, np.diag(width))
