"""The priors of a model with any likelihood: from what the user wrote to densities bound to the data's scale."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayesglm.inference.presets import aux_preset
from bayesglm.inference.prior_arguments import (
    PriorScale,
    bound_intercept,
    bound_positive,
    coefficient_priors,
    is_preset,
    is_sparse,
)
from bayesglm.inference.prior_set import PriorSet
from bayesglm.inference.regression_data import RegressionData
from bayesglm.kernel.priors import Flat, Normal, Prior


def resolve_family(
    data: RegressionData,
    columns: Sequence[str],
    terms: Mapping[str, Sequence[int]],
    *,
    prior: Any = None,
    prior_scale: Any = None,
    intercept_prior: Any = None,
    aux_priors: Mapping[str, Any] | None = None,
    center: bool = True,
    positive: bool = False,
    reference: int | None = None,
) -> PriorSet:
    """Turn the estimator's prior arguments into bound priors.

    ``autoscale`` means units of 1/sd(x) on the scale of the linear predictor (of sd(y)/sd(x) where that is y's own),
    and puts the intercept's prior around the linear predictor of a model without predictors.

    Parameters
    ----------
    data : RegressionData
    columns : sequence of str
        Names of the coefficients.
    terms : mapping of str to sequence of int
        Names of terms and the columns they stand for; empty for arrays.
    prior, prior_scale, intercept_prior, center, positive
        See `bayesglm.BayesianGLM`.
    aux_priors : mapping of str to prior, optional
        By name, of the family's auxiliary parameters; the rest have the family's own.
    reference : int, optional
        Of several classes, the one whose coefficients are zero. None: coefficients add up to zero over the classes,
        if all priors are flat or normal ones around zero; else the first class.

    Returns
    -------
    PriorSet

    Raises
    ------
    ValueError, TypeError
        In one sentence that names the parameter and what to do.
    """
    family = data.family
    # One prior serves the intercepts of all classes, whose levels differ and are kept beside it.
    level = float(data.level) if family.n_predictors == 1 else 0.0
    scale = PriorScale(
        data.x_sd,
        level,
        data.spread,
        data.weight,
        per_noise=_pseudo_sigma(data) if is_sparse(prior) else 1.0,
        x_mean=data.x_mean,
        link=family.link,
    )
    coef = coefficient_priors(scale, columns, terms, prior, prior_scale, positive)
    intercept = bound_intercept(scale, intercept_prior, prior) if data.intercept else None
    levels = None
    if data.classes is not None:
        if reference is None and not all(
            is_even(prior) for prior in (*coef.bound, *([] if intercept is None else [intercept]))
        ):
            reference = 0
        if intercept is not None and intercept.autoscale:
            levels = np.asarray(data.level)[np.argsort(data.classes)]
            if reference is not None:  # which offsets do not reach, nor their mean
                levels[reference] -= data.y_mean
    given = dict(aux_priors or {})
    for name in given:
        if name not in family.aux:
            near = difflib.get_close_matches(name, family.aux, n=1)
            known = ", ".join(map(repr, family.aux)) or "none to estimate"
            hint = f"did you mean {near[0]!r}?" if near else f"{family} has {known}."
            raise ValueError(f"aux_priors[{name!r}]: no auxiliary parameter of that name; {hint}")
    usual = family.default_aux_priors(data.observed, weight=data.weights)
    if is_preset(prior):
        usual = {**usual, **{name: own for name, own in aux_preset(prior).items() if name in usual}}
    aux = {
        name: bound_positive(given.get(name), usual[name], scale.sd_y, f"{name}_prior") for name in family.aux
    }
    return PriorSet(
        coef=coef.bound,
        intercept=intercept,
        aux=aux,
        centred=bool(center) or intercept_prior is None,
        positive=np.asarray(coef.positive),
        labels=coef.labels,
        n_predictors=family.n_predictors,
        reference=reference,
        levels=levels,
    )


def is_even(prior: Prior) -> bool:
    """Whether a prior can be that of all differences between classes: normal, the same either way, or flat."""
    return isinstance(prior, Flat) or (isinstance(prior, Normal) and not np.any(prior.bound[1]))


def _pseudo_sigma(data: RegressionData) -> float:
    """Return what sigma would be of normal noise that says as much of a coefficient as a row does here.

    The likelihood's curvature in a model without predictors takes the place of 1/sigma² (Piironen & Vehtari 2017,
    section 3.5): 2 for as many successes as failures, 1/sqrt(mean) for counts.
    """
    family = data.family
    if family.n_predictors > 1:
        return 1.0
    y = data.y
    level = (float(data.level) - data.y_mean) / data.y_unit
    eta = np.full(len(y), level) + (0.0 if data.offset is None else data.offset)
    aux = [data.aux_start[name] for name in family.aux]
    _, curvature = family.in_unit(data.response_unit).value_and_curvature(
        y, eta, aux, weight=data.weights, extra=data.extra
    )
    return float(data.y_unit * np.sqrt(data.weight / curvature.sum()))
