"""Priors as plain data, and back: as the user wrote them, and as a fit has bound them to its data."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesglm.inference.prior_set import PriorSet
from bayesglm.kernel.positive_priors import PRIORS
from bayesglm.kernel.priors import Flat, Prior
from bayesglm.kernel.sparse_priors import SPARSE_PRIORS, LearnedNormal, SparsePrior
from bayesglm.plain_data import array, encode, fields

_KINDS: dict[str, type[Prior]] = {**PRIORS, **SPARSE_PRIORS, "learned_normal": LearnedNormal}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def describe(prior: Prior, where: str) -> dict[str, Any]:
    """Turn a prior, as the user wrote it, into plain data.

    Parameters
    ----------
    prior : Prior
    where : str
        Which one, for messages.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If it is of a class of the user's own, or its parameters are no data.
    """
    name = _NAMES.get(type(prior))
    if name is None:
        raise ValueError(
            f"{where} is of the class {type(prior).__name__}, which is not one of bayesglm's and cannot be saved "
            "without its code: use one of bayesglm's priors, or pickle the model instead"
        )
    parameters = prior.get_params()
    for key, value in parameters.items():
        try:
            encode(value)
        except ValueError:
            raise ValueError(
                f"{key} of {where} is of type {type(value).__name__}, which cannot be saved as data: give a "
                "number, or an array of numbers"
            ) from None
    return {"prior": name, "parameters": parameters}


def restore(data: Any, where: str) -> Prior:
    """Make a prior of plain data.

    Parameters
    ----------
    data : object
        What `describe` returned, or whatever else was in a file.
    where : str
        Which one, for messages.

    Returns
    -------
    Prior
        As with the constructor, parameters are checked at fit.

    Raises
    ------
    ValueError
        If `data` is not a prior of this package.
    """
    name, parameters = fields(data, where, prior=str, parameters=dict)
    kind = _KINDS.get(name)
    if kind is None:
        raise ValueError(f"{where} must be a prior of bayesglm, got {name[:40]!r}")
    fields(parameters, f"the {name} prior of {where}", **dict.fromkeys(kind.names, object))
    prior: Prior = kind(**parameters)
    return prior


def describe_set(priors: PriorSet) -> dict[str, Any]:
    """Turn the priors of a fit into plain data.

    Raises
    ------
    ValueError
        As `describe`.
    """
    several: dict[str, Any] = {}
    if priors.n_predictors > 1:
        several = {"reference": priors.reference, "levels": priors.levels}
    return several | {
        "coef": [
            {"label": label, **_bound_data(prior, label)}
            for label, prior in zip(priors.labels, priors.coef, strict=True)
        ],
        "intercept": None if priors.intercept is None else _bound_data(priors.intercept, "intercept_prior"),
        "aux": {name: _bound_data(prior, f"{name}_prior") for name, prior in priors.aux.items()},
        "centred": priors.centred,
        "exact_fit": priors.exact_fit,
    }


def restore_set(
    data: Any,
    p: int,
    intercept: bool,
    where: str,
    aux: tuple[str, ...] = ("sigma",),
    n_predictors: int = 1,
) -> PriorSet:
    """Make the priors of a fit of plain data.

    Parameters
    ----------
    data : object
        What `describe_set` returned, or whatever else was in a file.
    p : int
        Number of coefficients.
    intercept : bool
        Whether there is an intercept.
    where : str
        Whose priors they are, for messages.
    aux : tuple of str
        Names of the likelihood's auxiliary parameters.
    n_predictors : int

    Returns
    -------
    PriorSet

    Raises
    ------
    ValueError
        If `data` are not such priors.
    """
    if isinstance(data, dict) and "sigma" in data:  # before there were other likelihoods than the normal one
        data = {
            **{key: value for key, value in data.items() if key != "sigma"},
            "aux": {"sigma": data["sigma"]},
        }
    kinds: dict[str, Any] = {
        "coef": list,
        "intercept": (dict, type(None)),
        "aux": dict,
        "centred": bool,
        "exact_fit": bool,
    }
    coding: list[Any] = [None, None]
    if n_predictors > 1:
        kinds |= {"reference": (int, type(None)), "levels": (np.ndarray, type(None))}
    coef, level, others, centred, exact_fit, *coding = fields(data, where, **kinds)
    reference, levels = coding or (None, None)
    if reference is not None and not 0 <= reference < n_predictors:
        raise ValueError(f"{where} must have one of the classes as their reference")
    if levels is not None:
        array(levels, f"the levels of {where}", (n_predictors,))
    fields(others, f"those of auxiliary parameters among {where}", **dict.fromkeys(aux, dict))
    if (level is not None) != intercept:
        raise ValueError(f"{where} must have one for the intercept if the model has one, and else none")
    bound, labels = [], []
    for item in coef:
        own = dict(item) if isinstance(item, dict) else {}
        label = own.pop("label", None)
        if not isinstance(label, str):
            raise ValueError(f"{where} must all have a label")
        labels.append(label)
        bound.append(_bound(own, f"{label!r} of {where}"))
    # The kernel writes to these positions without looking.
    positions = np.concatenate([np.zeros(0, np.intp), *(prior.bound[0] for prior in bound)])
    if len(positions) != p or not np.array_equal(np.sort(positions), np.arange(p)):
        raise ValueError(f"{where} must have one for each of the {p} coefficients")
    positive = np.zeros(p, bool)
    for prior in bound:
        positive[prior.bound[0]] = prior.positive or prior.bound[3]
    return PriorSet(
        coef=tuple(bound),
        intercept=None if level is None else _single(level, f"the intercept's of {where}", positive=False),
        aux={name: _single(others[name], f"{name}'s of {where}", positive=True) for name in aux},
        centred=centred,
        positive=positive,
        labels=tuple(labels),
        exact_fit=exact_fit,
        n_predictors=n_predictors,
        reference=reference,
        levels=levels,
    )


def _bound_data(prior: Prior, where: str) -> dict[str, Any]:
    index, loc, scale, truncated = prior.bound
    return {
        **describe(prior, where),
        "index": index.astype(np.int64),
        "loc": loc,
        "scale": scale,
        "truncated": truncated,
    }


def _bound(data: Mapping[str, Any], where: str) -> Prior:
    name, parameters, index, loc, scale, truncated = fields(
        data,
        where,
        prior=str,
        parameters=dict,
        index=np.ndarray,
        loc=np.ndarray,
        scale=np.ndarray,
        truncated=bool,
    )
    index = array(index, f"the positions of {where}", (len(index) if index.ndim else 0,), "int64")
    array(loc, f"the locations of {where}", index.shape)
    array(scale, f"the scales of {where}", index.shape)
    if not np.all(scale > 0.0):
        raise ValueError(f"the scales of {where} must be positive")
    prior = restore({"prior": name, "parameters": parameters}, where)
    if truncated and prior.positive:
        raise ValueError(f"{where} must not be cut off, since it is positive anyway")
    if isinstance(prior, SparsePrior):
        if truncated or not np.all(loc > 0.0) or not np.array_equal(index, np.arange(len(index))):
            raise ValueError(
                f"{where} must serve all coefficients, in their order, by units that are positive"
            )
        where = "prior"
    try:
        bound = prior.bind(index, name=where)  # which checks the other parameters
    except (TypeError, ArithmeticError):
        raise ValueError(f"{where} has a parameter that is no such number") from None
    bound._attach((bound.bound[0], np.ascontiguousarray(loc), np.ascontiguousarray(scale), truncated))
    return bound


def _single(data: Mapping[str, Any], where: str, positive: bool) -> Prior:
    prior = _bound(data, where)
    fits = prior.positive == positive or (positive and isinstance(prior, Flat))
    if not fits or prior.bound[3] or not np.array_equal(prior.bound[0], [0]):
        raise ValueError(f"{where} must be a prior of one number on its own range")
    return prior
