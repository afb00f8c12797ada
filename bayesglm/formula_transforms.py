"""What patsy's stateful transforms have learnt (means, spline knots), as plain data."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bayesglm.formula_limits import HIGHEST_DEGREE
from bayesglm.plain_data import fields, numbers

# Attributes in which a transform keeps what it has learnt, by patsy's name of its class. What is not listed
# cannot be loaded: above all no class of a user's own, whose code would have to be in the file.
_LEARNT: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "Center": {"_sum": np.ndarray, "_count": int},
    "Standardize": {"current_n": int, "current_mean": np.ndarray, "current_M2": np.ndarray},
    "BS": {"_degree": int, "_all_knots": np.ndarray},
    "CR": {"_all_knots": np.ndarray, "_constraints": (np.ndarray, type(None))},
    "CC": {"_all_knots": np.ndarray, "_constraints": (np.ndarray, type(None))},
    "TE": {"_constraints": (np.ndarray, type(None))},
}
# What the constructors set and fitting removes, and what says which class it is.
_IGNORED = frozenset(("_tmp", "_name", "_cyclic"))
# The widest float has up to 113 bits, and a float64 53 of them.
_PARTS = 3


def describe(transform: Any) -> dict[str, Any]:
    """Turn a transform that has learnt into plain data.

    Parameters
    ----------
    transform : object
        One of patsy's transforms, as it is in the state of a factor.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If it is none of patsy's, or keeps other things than is known here.
    """
    kind = type(transform).__name__
    known = _LEARNT.get(kind)
    if known is None or type(transform) is not _classes()[kind]:
        raise ValueError(f"the stateful transform {kind!r} is not one of patsy's")
    learnt = {name: value for name, value in vars(transform).items() if name not in _IGNORED}
    if learnt.keys() != known.keys():
        raise ValueError(f"the transform {kind!r} of this version of patsy keeps its state in another way")
    data: dict[str, Any] = {"transform": kind}
    for name, value in learnt.items():
        if known[name] is int:
            data[name] = _whole(value)
        elif isinstance(value, np.ndarray) and value.dtype == np.longdouble and kind in _WIDE:
            data[name] = _split(value)
        else:
            data[name] = value
    restore(type(transform)(), data, f"the transform {kind!r}")  # never write what could not be read
    return data


def restore(transform: Any, data: Any, where: str) -> None:
    """Give a new transform what another has learnt.

    Parameters
    ----------
    transform : object
        A transform of patsy's, just constructed.
    data : object
        What `describe` returned, or whatever else was in a file.
    where : str
        Which transform of which factor, for messages.

    Raises
    ------
    ValueError
        If `data` is not for this transform, or impossible.
    """
    kind = type(transform).__name__
    if kind not in _LEARNT or type(transform) is not _classes()[kind]:
        raise ValueError(f"{where} is not one of patsy's transforms")
    found = data.get("transform") if isinstance(data, dict) else None
    if not isinstance(found, str) or found != kind:  # an array would answer with an array
        raise ValueError(f"{where} must have the state of a {kind!r}")
    known = _LEARNT[kind]
    values = fields(data, where, transform=str, **known)[1:]
    learnt = dict(zip(known, values, strict=True))
    _CHECKS[kind](learnt, where)
    if kind in _WIDE:
        learnt = {name: _joined(v) if isinstance(v, np.ndarray) else v for name, v in learnt.items()}
    vars(transform).pop("_tmp", None)
    vars(transform).update(learnt)


def _classes() -> dict[str, type]:
    from patsy.mgcv_cubic_splines import CC, CR, TE
    from patsy.splines import BS
    from patsy.state import Center, Standardize

    return {kind.__name__: kind for kind in (Center, Standardize, BS, CR, CC, TE)}


def _whole(value: Any) -> Any:
    """An integer as Python's, if it is one; patsy takes 3.0 for a degree too."""
    return int(value) if isinstance(value, int | float | np.number) and value == int(value) else value


def _split(values: np.ndarray) -> np.ndarray:
    """Numbers of the widest float as sums of a few float64, exactly; shape (3, len(values))."""
    parts = np.zeros((_PARTS, *values.shape))
    rest = values.copy()
    for part in parts:
        part[...] = rest
        rest = rest - part
    return parts


def _joined(parts: np.ndarray) -> np.ndarray:
    whole = np.zeros(parts.shape[1:], dtype=np.longdouble)
    for part in parts:
        whole = whole + part
    return whole


def _count(value: int, where: str) -> None:
    if value < 1:
        raise ValueError(f"{where} must have seen rows")


def _wide(value: Any, where: str) -> np.ndarray:
    if numbers(value, where, 2).dtype != np.float64 or len(value) != _PARTS or not value.size:
        raise ValueError(f"{where} must be a sum of {_PARTS} rows of float64")
    return value


def _check_center(learnt: Mapping[str, Any], where: str) -> None:
    _count(learnt["_count"], where)
    _wide(learnt["_sum"], where)


def _check_standardize(learnt: Mapping[str, Any], where: str) -> None:
    _count(learnt["current_n"], where)
    if _wide(learnt["current_mean"], where).shape != _wide(learnt["current_M2"], where).shape:
        raise ValueError(f"{where} must have as many means as standard deviations")


def _check_bs(learnt: Mapping[str, Any], where: str) -> None:
    knots, degree = numbers(learnt["_all_knots"], where, 1), learnt["_degree"]
    if not 0 <= degree <= HIGHEST_DEGREE or len(knots) < 2 * (degree + 1) or (np.diff(knots) < 0).any():
        raise ValueError(f"{where} must have a degree from 0 to {HIGHEST_DEGREE}, and sorted knots for it")


def _check_cubic(learnt: Mapping[str, Any], where: str, cyclic: bool) -> None:
    knots = numbers(learnt["_all_knots"], where, 1)
    if len(knots) < 2 or (np.diff(knots) <= 0).any():
        raise ValueError(f"{where} must have at least two knots, each larger than the one before")
    _check_constraints(learnt, where, len(knots) - cyclic)


def _check_constraints(learnt: Mapping[str, Any], where: str, columns: int | None = None) -> None:
    constraints = learnt["_constraints"]
    if constraints is None:
        return
    rows, found = numbers(constraints, where, 2).shape
    if not 1 <= rows <= found or (columns is not None and found != columns):
        raise ValueError(f"{where} must have constraints on its columns, and not more than columns")


_WIDE = frozenset(("Center", "Standardize"))
_CHECKS: Mapping[str, Callable[[dict[str, Any], str], None]] = {
    "Center": _check_center,
    "Standardize": _check_standardize,
    "BS": _check_bs,
    "CR": lambda learnt, where: _check_cubic(learnt, where, cyclic=False),
    "CC": lambda learnt, where: _check_cubic(learnt, where, cyclic=True),
    "TE": _check_constraints,
}
