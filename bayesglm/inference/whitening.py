"""From rows and priors to a target in coordinates in which its posterior is about standard normal."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigvalsh

from bayesglm.inference.contrasts import sets
from bayesglm.inference.curvature import Curvature
from bayesglm.inference.directions import MANY, Directions, normal_directions, turned_fit
from bayesglm.inference.laplace import LaplaceFit, fit_laplace
from bayesglm.inference.modes import highest_and_others
from bayesglm.inference.moving import EndlessError, moving_target
from bayesglm.inference.prior_arguments import rebound
from bayesglm.inference.prior_set import PriorSet, StandardisedPriors
from bayesglm.inference.regression_data import LARGEST_LOG_SHAPE, RegressionData
from bayesglm.kernel.coefficient_maps import CoefMap, MappedTarget, PositiveMap, TailMap
from bayesglm.kernel.continuous import StudentT as StudentTNoise
from bayesglm.kernel.priors import Cauchy, Flat, JointPrior, Normal, Prior, StudentT
from bayesglm.kernel.regression import RegressionTarget
from bayesglm.kernel.sparse_priors import LearnedNormal
from bayesglm.kernel.target import AffineTarget

#: A guess at the posterior standard deviation of the logarithms of scales that a prior learns.
WIDTH_OF_HYPER = 0.5
#: With fewer rows than this many times the coefficients, or than so many, the map follows the noise's scale. (With
#: more of them, Student's t noise has modes that it does not follow.)
ROWS, LEAST_ROWS, ROWS_SEVERAL_MODES = 3.0, 12, 2.0
#: Share of its curvature at the start that the likelihood keeps at a mode, if there is one.
VANISHED = 1e-7
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


@dataclass(frozen=True)
class Whitened:
    """A target in its coordinates, and what they were made from.

    Attributes
    ----------
    target : AffineTarget
        Of a regression's target, mapped or not.
    laplace : LaplaceFit or None
        The approximation at the mode; None where the prior is hierarchical and there is none of use.
    others : tuple of LaplaceFit
        Further modes.
    directions : Directions or None
        What the target has for coefficients, if not they themselves.
    contrasts : ndarray of shape (n_predictors, n_sets) or None
        How several linear predictors come from what the target has.
    """

    target: AffineTarget
    laplace: LaplaceFit | None = None
    others: tuple[LaplaceFit, ...] = ()
    directions: Directions | None = None
    contrasts: np.ndarray | None = None


def whitened(data: RegressionData, priors: PriorSet) -> Whitened:
    """Return the target of a model, in coordinates in which its posterior is about standard normal.

    Parameters
    ----------
    data : RegressionData
    priors : PriorSet

    Returns
    -------
    Whitened

    Raises
    ------
    UndeterminedError
        If the posterior is improper.
    ValueError
        If priors and family do not go together, or the likelihood is no number.
    """
    standardised = priors.standardised(data)
    if standardised.sparse is not None:
        return Whitened(_hierarchical(data, priors, standardised))
    moving = _moving(data, standardised)
    if moving is not None:
        return moving
    directions = normal_directions(data, standardised)
    if directions is None:
        target, fit, others = _at_mode(data, standardised, _within(standardised, data.design.n_columns))
        affine = AffineTarget(target, fit.mode, fit.factor)
        return Whitened(affine, fit, others, contrasts=standardised.contrasts)
    target, fit, others = _at_mode(
        directions.data(data), directions.priors(standardised), directions.at_zero()
    )
    turned = None
    if not others:
        turned = turned_fit(fit, standardised.n_sets, int(data.intercept), directions.basis.shape[1])
    if turned is not None:
        turn, fit = turned
        directions = directions.turned(turn)
        along = directions.priors(standardised)
        prior = _joint(along, len(along.shift))
        target = _regression(directions.data(data), along, prior)
    affine = AffineTarget(target, fit.mode, fit.factor)
    return Whitened(affine, fit, others, directions, standardised.contrasts)


def _moving(data: RegressionData, priors: StandardisedPriors) -> Whitened | None:
    """Return the target in a map that follows the noise's scale, if rows are few and no coefficient's prior is flat."""
    p, aux = data.design.n_columns, data.family.aux
    k = p + data.intercept
    few = ROWS_SEVERAL_MODES * k if isinstance(data.family, StudentTNoise) else max(ROWS * k, LEAST_ROWS)
    if not aux or data.family.n_predictors > 1 or data.n_rows >= few:
        return None
    if any(isinstance(prior, Flat) for prior in (*priors.coef, priors.intercept)):
        return None
    directions = normal_directions(data, priors, least=1 if data.n_rows < p else MANY)
    coef = _within(priors, p)
    if directions is not None:
        directions = directions.seen()
        data, priors, coef = directions.data(data), directions.priors(priors), directions.at_zero()
    target, start = _target_and_start(data, priors, coef)
    pivot, scale = target.dim - len(aux), aux[0]
    try:
        found = moving_target(target, Curvature(target, priors), start, pivot)
    except EndlessError:
        raise ValueError(
            f"{scale}: its posterior does not fall off and is improper; give it a proper prior, such as HalfNormal(1)."
        ) from None
    if found is None:
        return None
    middle = found.inner.unwhiten(found.unwhiten(np.zeros(found.dim)))
    if (
        isinstance(priors.aux[scale], Flat)
        and scale in ("shape", "precision")
        and middle[pivot] > LARGEST_LOG_SHAPE
    ):
        raise ValueError(data.exact_fit(scale))
    data.warn_of_exact_fit(middle, True)
    return Whitened(AffineTarget(found, np.zeros(found.dim), np.eye(found.dim)), directions=directions)


def _target_and_start(
    data: RegressionData, priors: StandardisedPriors, coef: np.ndarray
) -> tuple[RegressionTarget | MappedTarget, np.ndarray]:
    """Return the target in coordinates in which priors have neither bounds nor heavy tails, and where to begin."""
    p, first = data.design.n_columns, int(data.intercept)
    coef_map = _elementwise_map(data, priors)
    plain = _regression(data, priors, _joint(priors, p) if coef_map is None else None)
    start = _start(data, plain, coef)
    target: RegressionTarget | MappedTarget = plain
    if coef_map is not None:
        target = MappedTarget(plain, coef_map, first)
        start[first : first + p] = coef_map.at(coef)
    value, gradient = target(start)
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        raise ValueError(
            "The likelihood is no number where all coefficients are zero: y, offset or exposure are too large or too "
            "far from each other; check their units, and fit an intercept."
        )
    return target, start


def _at_mode(
    data: RegressionData, priors: StandardisedPriors, coef: np.ndarray
) -> tuple[RegressionTarget | MappedTarget, LaplaceFit, tuple[LaplaceFit, ...]]:
    """Return the target, the approximation at its mode, and further modes; the climb starts at ``coef``."""
    p, first = data.design.n_columns, int(data.intercept)
    target, start = _target_and_start(data, priors, coef)
    curvature = Curvature(target, priors)
    fit, others = highest_and_others(data, target, curvature, fit_laplace(target, start, curvature))
    data.warn_of_exact_fit(fit.mode, fit.converged)
    if any(isinstance(prior, Flat) for prior in (*priors.coef, priors.intercept)):
        if fit.flat.shape[1]:
            raise UndeterminedError(_undetermined(fit, p, priors.n_sets, first))
        # Where classes are separated the likelihood rises for ever, and its curvature goes to nothing on the way.
        n = priors.n_sets * (p + first)
        before, after = curvature(start)[:n, :n], fit.curvature[:n, :n]
        # (With Student's t the climb may just be slow: where lines through two groups of rows are nearly as good.)
        lost = not fit.converged and not isinstance(data.family, StudentTNoise)
        if lost or eigvalsh(after, before)[0] < VANISHED:
            raise UndeterminedError(np.zeros(0, dtype=np.intp))
    return target, fit, tuple(others)


def _regression(
    data: RegressionData, priors: StandardisedPriors, coef_prior: Prior | None
) -> RegressionTarget:
    """Return the target in the design's coordinates."""
    aux: Prior | None = None
    for i, prior in enumerate(priors.aux.values()):
        own = rebound(prior, np.array([i]))
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
        contrasts=priors.contrasts,
    )


def _joint(priors: StandardisedPriors, p: int) -> Prior | None:
    """Return the coefficients' priors as one, for all sets."""
    joint: Prior | None = None
    for k in range(priors.n_sets):
        for prior in priors.coef:
            own = rebound(prior, np.asarray(prior.bound[0]) + k * p)
            joint = own if joint is None else JointPrior(joint, own)
    return joint


def _start(data: RegressionData, target: RegressionTarget, coef: np.ndarray) -> np.ndarray:
    """Return the point of a model with these coefficients, and otherwise without predictors."""
    q = np.zeros(target.dim)
    width = data.design.n_columns + data.intercept
    for k in range(target.n_sets):
        q[k * width + data.intercept : (k + 1) * width] = coef
    if data.intercept:
        if target.contrasts is None:
            q[: target.n_linear : width] = (data.level - data.y_mean) / data.y_unit
        else:
            q[: target.n_linear : width] = sets(data.level, target.contrasts)
    for i, name in enumerate(data.family.aux):
        q[target.n_linear + i] = np.log(data.aux_start[name])
    return q


def _within(priors: StandardisedPriors, p: int) -> np.ndarray:
    """Return coefficients to start from: zero, or a little more where they must be positive."""
    found = np.zeros(p)
    for prior in priors.coef:
        index, _, scale, _ = prior.bound
        found[index] = np.where(priors.positive[index], np.minimum(0.1, 0.5 * scale), 0.0)
    return found


def _undetermined(fit: LaplaceFit, p: int, n_sets: int, first: int) -> np.ndarray:
    """Return the columns that take part in what the data leave open."""
    if not fit.flat.shape[1]:
        return np.zeros(0, dtype=np.intp)
    largest = np.abs(fit.flat[: n_sets * (p + first)]).max(axis=1)
    share = largest.reshape(n_sets, p + first)[:, first:].max(axis=0)
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
    fit = fit_laplace(surrogate, _start(data, surrogate, np.zeros(p)), Curvature(surrogate, ridge))
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
