"""An estimator's parameters as plain data, and back: numbers, texts, priors, generators, names in formulas."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesglm import generator_data, prior_data
from bayesglm.families import Family, describe_family, restore_family
from bayesglm.formula_data import describe_helper, restore_helper
from bayesglm.kernel.priors import Prior
from bayesglm.plain_data import fields, is_numeric


def describe(estimator: Any) -> dict[str, Any]:
    """Turn the parameters of an estimator into plain data.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    dict
        By name. Of `formula_namespace` what the formula names.

    Raises
    ------
    ValueError
        If one of them is no data; the message says which and what to do.
    """
    formula = estimator.formula
    if not isinstance(formula, str | None):
        raise ValueError(f"formula is of type {type(formula).__name__}, which cannot be saved: give a text")
    return {
        name: _described(name, value, formula) for name, value in estimator.get_params(deep=False).items()
    }


def restore(data: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Make parameters of plain data.

    Parameters
    ----------
    data : mapping
        What `describe` returned, or whatever else was in a file.
    defaults : mapping
        The parameters that there are, with the values of those that the file, being older, does not have.

    Returns
    -------
    dict
        As with constructors, values are checked at fit.

    Raises
    ------
    ValueError
        If `data` are not parameters.
    """
    unknown = data.keys() - defaults.keys()
    if unknown:
        raise ValueError(f"it has the unknown parameter {min(unknown)[:40]!r}")
    formula = data.get("formula")
    if not isinstance(formula, str | None):
        raise ValueError("its formula must be a text")
    return {
        name: _restored(name, data[name], formula) if name in data else default
        for name, default in defaults.items()
    }


def _described(name: str, value: Any, formula: str | None) -> Any:
    if name == "formula_namespace":
        return None if value is None else _namespace_data(value, formula)
    if _is_plain(value):
        return value
    if isinstance(value, Prior):
        return {"kind": "prior", "value": prior_data.describe(value, name)}
    if isinstance(value, Family):
        return {"kind": "family", "value": describe_family(value)}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError(
                f"{name} has keys that are no texts, so that it cannot be saved: name columns or terms"
            )
        items = {str(key): _described(f"{name}[{key!r}]", item, formula) for key, item in value.items()}
        return {"kind": "mapping", "value": items}
    found = generator_data.describe(value)
    if found is not None:
        return {"kind": "generator", "value": found}
    raise ValueError(
        f"{name} is of type {type(value).__name__}, which cannot be saved as data: set it to another value, "
        "or pickle the model instead"
    )


def _is_plain(value: Any) -> bool:
    """Whether a value is None, a number or a text, in its own type."""
    if isinstance(value, np.generic):
        return isinstance(value, np.str_) or is_numeric(value.dtype)
    return value is None or type(value) in (bool, int, float, str)


def _namespace_data(namespace: Any, formula: str | None) -> dict[str, Any]:
    """What the formula can mean of a namespace, which may be as large as a session's `globals()`."""
    if not isinstance(namespace, Mapping):
        raise ValueError(
            f"formula_namespace is of type {type(namespace).__name__}, which cannot be saved: give a dict"
        )
    words = re.findall(r"\w+", formula or "")
    return {
        "kind": "namespace",
        "value": {
            name: describe_helper(name, value, formula or "")
            for name, value in namespace.items()
            if isinstance(name, str) and name in words
        },
    }


def _restored(name: str, data: Any, formula: str | None) -> Any:
    if _is_plain(data):
        if name == "formula_namespace" and data is not None:
            raise ValueError("its formula_namespace must be a mapping")
        return data
    kind, value = fields(data, f"its parameter {name}", kind=str, value=dict)
    if name == "formula_namespace" and kind == "namespace":
        return {key: restore_helper(key, item, formula or "") for key, item in value.items()}
    if name != "formula_namespace":
        if kind == "prior":
            return prior_data.restore(value, f"its {name}")
        if kind == "family" and name == "family":
            return restore_family(value, "its family")
        if kind == "mapping":
            return {key: _restored(f"{name}[{key!r}]", item, formula) for key, item in value.items()}
        if kind == "generator":
            return generator_data.restore(value, f"its {name}")
    raise ValueError(f"its parameter {name} is of the unknown kind {kind[:40]!r}")
