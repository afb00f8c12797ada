"""A model with any likelihood as plain data, and back: its parameters, names, draws. It keeps no rows.

What follows from the draws (`coef_`, `aux_`) is computed again when they are loaded. Sampling cannot go on from a
file, since the likelihood needs the rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np

from bayesglm import formula_data, parameter_data, prior_data
from bayesglm.families import Family, describe_family, restore_family
from bayesglm.inference.diagnostics import Diagnostics
from bayesglm.inference.family_priors import is_even
from bayesglm.inference.general_route import GeneralRoute
from bayesglm.inference.posterior import Posterior, estimated
from bayesglm.model_data import (
    DIAGNOSTICS,
    LARGEST_SIGMA,
    check_names,
    restore_settings,
    restore_stats,
    stats_data,
)
from bayesglm.plain_data import array, fields

#: Of the layout of the data, changed when older versions could not read them: since 2, all of several classes have
#: coefficients, those of a reference zero ones. In 1 the first class was the reference, and had none.
VERSION = 2
_NONE = type(None)
# Products of less with a mean have no digits left.
_SMALLEST = 1e-300
_LABELS = {"U": str, "i": int, "u": int, "f": float, "b": bool}


def describe(estimator: Any) -> dict[str, Any]:
    """Turn an estimator, fitted or not, into plain data.

    Parameters
    ----------
    estimator : FamilyModel

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        In one sentence that says what cannot be data, and what to do.
    """
    fitted = hasattr(estimator, "posterior_")
    if fitted:
        formula = getattr(estimator._design, "formula", None)
        if formula != estimator.formula:
            raise ValueError(
                f"formula={estimator.formula!r} was set after a fit with formula={formula!r}: fit the model again"
            )
        if not np.isfinite(estimator.posterior_.stacked()).all():
            raise ValueError(
                "the model has draws that are not finite, which no file holds: give priors with lighter tails, or "
                "pickle the model instead"
            )
    data = {
        "parameters": parameter_data.describe(estimator),
        "fit": _fit_data(estimator) if fitted else None,
    }
    kind: Any = type(estimator)
    restore(kind.__new__(kind), data)  # what could not be loaded is not saved
    return data


def restore(estimator: Any, data: Any) -> None:
    """Make an estimator of a new object and plain data, running no code that the data could choose.

    Parameters
    ----------
    estimator : FamilyModel
    data : object
        What `describe` returned, or whatever else was in a file.

    Raises
    ------
    ValueError
        In one sentence, if `data` are not such an estimator.
    """
    parameters, fit = fields(data, "the model", parameters=dict, fit=(dict, _NONE))
    known = inspect.signature(type(estimator)).parameters
    defaults = {name: parameter.default for name, parameter in known.items()}
    vars(estimator).update(parameter_data.restore(parameters, defaults))
    if fit is not None:
        _restore_fit(estimator, fit)


def _fit_data(estimator: Any) -> dict[str, Any]:
    part: Posterior = estimator.posterior_
    names = getattr(estimator, "feature_names_in_", None)
    classes = getattr(estimator, "classes_", None)
    entropy, shown = part.entropy, part.settings.progressbar
    return {
        "n_features": int(estimator.n_features_in_),
        "names": None if names is None else [str(name) for name in names],
        "response": str(estimator._responses[0]),
        "formula": None if estimator._design is None else formula_data.to_data(estimator._design),
        "row_names": dict(estimator._row_names),
        "classes": None if classes is None else _class_data(classes),
        "family": describe_family(estimator._family),
        "intercept": bool(estimator._intercept),
        "x_mean": np.asarray(estimator._x_mean),
        "how": part.how,
        "settings": {**vars(part.settings), "progressbar": None if shown is None else bool(shown)},
        "tune": int(part.tune),
        "n_rows": int(part.n_rows),
        "weight": float(part.weight),
        "entropy": int(entropy) if isinstance(entropy, Integral) else [int(word) for word in entropy],
        "seconds": float(part.seconds),
        "priors": prior_data.describe_set(part.prior_set),
        "draws": dict(part.draws),
        "stats": stats_data(part.stats),
        "diagnostics": dict(vars(part.diagnostics)),
    }


def _class_data(classes: np.ndarray) -> dict[str, Any]:
    kind = classes.dtype.kind
    if kind == "O" and all(isinstance(label, str) for label in classes):
        kind = "U"
    if kind not in _LABELS:
        raise ValueError(
            f"classes_ are of dtype {classes.dtype}, which cannot be saved as data: give labels that are text or "
            "numbers, or pickle the model instead"
        )
    return {"labels": classes.tolist(), "dtype": str(classes.dtype) if kind != "U" else "text"}


def _restore_classes(data: Mapping[str, Any]) -> np.ndarray:
    labels, dtype = fields(data, "its classes", labels=list, dtype=str)
    if dtype == "text":
        kinds: tuple[type, ...] = (str,)
    elif dtype in ("bool", "float32", "float64") or dtype.removeprefix("u") in (
        "int8",
        "int16",
        "int32",
        "int64",
    ):
        kinds = (bool,) if dtype == "bool" else (float,) if dtype.startswith("float") else (int,)
    else:
        raise ValueError(f"its classes have the unknown dtype {dtype[:40]!r}")
    if len(labels) < 2 or not all(type(label) in kinds for label in labels):
        raise ValueError("its classes must be two labels or more, all of a kind")
    try:
        found = np.array(labels) if dtype == "text" else np.array(labels, dtype=dtype)
    except OverflowError:
        raise ValueError("its classes hold a number that is too large") from None
    if not np.array_equal(np.unique(found), found):
        raise ValueError("its classes must be in ascending order, none twice")
    return found


def _restore_fit(estimator: Any, data: Mapping[str, Any]) -> None:
    where = "its fit"
    values = fields(
        data,
        where,
        n_features=int,
        names=(list, _NONE),
        response=str,
        formula=(dict, _NONE),
        row_names=dict,
        classes=(dict, _NONE),
        family=dict,
        intercept=bool,
        x_mean=np.ndarray,
        how=str,
        settings=dict,
        tune=int,
        n_rows=int,
        weight=float,
        entropy=(int, list),
        seconds=float,
        priors=dict,
        draws=dict,
        stats=dict,
        diagnostics=dict,
    )
    n_features, names, response, formula, row_names, classes, kind, intercept, x_mean, how, *rest = values
    settings_data, tune, n_rows, weight, entropy, seconds, priors, draws, stats, diagnostics = rest
    if n_features < 0 or (names is not None and n_features != len(check_names(names, "its columns"))):
        raise ValueError("it must have as many columns as their names")
    design = None if formula is None else formula_data.from_data(formula)
    if (None if design is None else design.formula) != estimator.formula or (design and names is None):
        raise ValueError("its formula must be that of its parameters")
    if design is None and x_mean.shape != (n_features,):
        raise ValueError("it must have a mean for each of its columns")
    features = tuple(names or (f"x{i}" for i in range(n_features))) if design is None else design.columns
    family = restore_family(kind, "its family")
    settings = restore_settings(settings_data)
    p, K, shape = len(features), family.n_predictors, (settings.chains, settings.draws)
    array(x_mean, "its means", (p,))
    if how not in ("batch", "nuts") or not 1 <= n_rows < 2**63 or not 0.0 < weight < np.inf or tune < 0:
        raise ValueError(f"{where} is none that there can be")
    words = entropy if isinstance(entropy, list) else [entropy]
    if not 0.0 <= seconds < np.inf or any(type(word) is not int or word < 0 for word in words):
        raise ValueError(f"{where} must have no negative seconds or seeds")
    if not all(isinstance(value, str) for value in row_names.values()):
        raise ValueError("the names of its row arguments must be texts")
    labels = None
    if classes is not None:
        found = _restore_classes(classes)
        if len(found) != max(K, 2):
            raise ValueError("it must have as many classes as its family")
        labels = None if K == 1 else {"coef": tuple(str(name) for name in found)}
        estimator.classes_ = found
    if (classes is None) != (not hasattr(type(estimator), "predict_proba")):
        raise ValueError("a classifier must have classes, and nothing else can")
    if K > 1 and "reference" not in priors:
        priors, draws = {**priors, "reference": 0, "levels": None}, _with_a_first_class(draws)
    prior_set = prior_data.restore_set(priors, p, intercept, f"the priors of {where}", family.aux, K)
    draws = _draws(draws, shape, p, intercept, family, prior_set)
    if prior_set.sums_to_zero and not all(
        is_even(prior) for prior in (*prior_set.coef, prior_set.intercept) if prior is not None
    ):
        raise ValueError("its classes need a reference under such priors")
    if prior_set.reference is not None and any(
        np.any(draws[name][:, :, prior_set.reference]) for name in ("Intercept", "coef") if name in draws
    ):
        raise ValueError("its reference class must have coefficients of zero")
    k = sum(int(np.prod(values.shape[2:])) for values in estimated(draws, prior_set.reference).values())
    columns = fields(diagnostics, f"the diagnostics of {where}", **dict.fromkeys(DIAGNOSTICS, np.ndarray))
    for column in columns:
        array(column, f"the diagnostics of {where}", (k,), finite=False)
    posterior = Posterior(
        draws=draws,
        stats=restore_stats(stats, shape, settings, where),
        features=features,
        how=how,
        settings=settings,
        tune=tune,
        entropy=entropy,
        seconds=seconds,
        prior_set=prior_set,
        n_rows=n_rows,
        weight=weight,
        diagnostics=Diagnostics(*columns),
        exact=None,
        z_scores=None,
        labels=labels or prior_set.labels_of_scales({} if design is None else design.terms),
        likelihood=family.in_words(),
    )
    if design is not None:  # files of earlier versions name all columns of the frame
        n_features, names = len(design.variables), list(design.variables)
    estimator.n_features_in_ = n_features
    if names is not None:
        estimator.feature_names_in_ = np.asarray(names, dtype=object)
    estimator._design, estimator._features = design, features
    estimator._terms = {} if design is None else design.terms
    estimator._responses, estimator._row_names = (response,), row_names
    estimator._keep(family, intercept, x_mean, GeneralRoute.without_rows(family, how), posterior)


def _with_a_first_class(draws: Mapping[str, Any]) -> dict[str, Any]:
    """Return draws of the first layout with coefficients of zero for the first class."""
    return {
        name: np.concatenate([np.zeros_like(values[:, :, :1]), values], axis=2)
        if name in ("Intercept", "coef") and isinstance(values, np.ndarray) and values.ndim > 2
        else values
        for name, values in draws.items()
    }


def _draws(
    data: Mapping[str, Any],
    shape: tuple[int, int],
    p: int,
    intercept: bool,
    family: Family,
    priors: Any,
) -> dict[str, np.ndarray]:
    several = () if family.n_predictors == 1 else (family.n_predictors,)
    shapes: dict[str, tuple[int, ...]] = {"Intercept": (*shape, *several)} if intercept else {}
    shapes["coef"] = (*shape, *several, p)
    shapes |= dict.fromkeys(family.aux, shape)
    if priors.sparse is not None:
        shapes |= dict.fromkeys(priors.sparse.hyper, (*shape, *priors.sparse.hyper_shape))
    fields(data, "its draws", **dict.fromkeys(shapes, np.ndarray))
    draws = {name: array(data[name], f"the draws of {name}", expected) for name, expected in shapes.items()}
    for name in family.aux:
        if not np.all(draws[name] > _SMALLEST):
            raise ValueError(f"the draws of {name} must be positive, and more than {_SMALLEST}")
    if "sigma" in family.aux and not np.all(draws["sigma"] < LARGEST_SIGMA):
        raise ValueError("the draws of sigma must be such that squares of them are doubles")
    return draws
