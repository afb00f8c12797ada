"""Plain data (numbers, text, lists, dicts, arrays) as JSON that names arrays, and back, trusting nothing."""

import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

# JSON has no NaN, tuples or NumPy scalars; a dict with a single key that begins with "$" stands for them.
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_DTYPES = frozenset(np.dtype(code).newbyteorder("<").str for code in ("?", *"bhiq", *"BHIQ", *"efd"))
_SCALARS = {np.dtype(code).name: np.dtype(code).type for code in _DTYPES}
_ARRAY_NAME = re.compile(r"array-\d{1,6}")
# Nobody nests deeper; Python's own limit is met far below.
_DEEPEST = 60
# Seeds have 128 bits. Python refuses to read much longer numbers.
_MOST_BITS = 4096


def is_numeric(dtype: np.dtype) -> bool:
    """Whether arrays of a dtype are plain data: booleans, integers and floats of at most 64 bits."""
    return dtype.newbyteorder("<").str in _DTYPES


def encode(tree: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Take the arrays out of a tree of plain data, so that JSON can hold the rest.

    Parameters
    ----------
    tree : object
        None, bool, int, float, str, NumPy scalars and arrays of booleans, integers and floats, and lists,
        tuples and dicts with str keys of such.

    Returns
    -------
    json : object
        What `json.dumps(..., allow_nan=False)` takes.
    arrays : dict from str to ndarray
        The arrays, little-endian, by the names that `json` has for them.

    Raises
    ------
    ValueError
        If the tree holds anything else; the message says where.
    """
    arrays: dict[str, np.ndarray] = {}
    return _encoded(tree, "data", arrays, 0), arrays


def decode(json: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Undo `encode`.

    Raises
    ------
    ValueError
        If `json` is nothing that `encode` returns, or does not use each of `arrays` once.
    """
    unused = dict(arrays)
    tree = _decoded(json, unused, 0)
    if unused:
        raise ValueError(f"the array {next(iter(unused))!r} belongs nowhere")
    return tree


def _encoded(value: Any, where: str, arrays: dict[str, np.ndarray], depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError(f"{where} is nested too deeply to be saved")
    if isinstance(value, np.generic) and is_numeric(value.dtype):
        return {"$scalar": [value.dtype.name, _encoded(value.item(), where, arrays, depth)]}
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if type(value) is int and value.bit_length() <= _MOST_BITS:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
        if is_numeric(value.dtype):
            name = f"array-{len(arrays)}"
            arrays[name] = np.asarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
            return {"$array": name}
        raise ValueError(f"{where} is an array of dtype {value.dtype}, which cannot be saved as numbers")
    if type(value) in (list, tuple):
        items = [_encoded(item, f"{where}[{i}]", arrays, depth + 1) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if type(value) is dict:
        named = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{where} has the key {key!r}, but only text can be a key")
            named[str(key)] = _encoded(item, f"{where}[{key!r}]", arrays, depth + 1)
        return {"$dict": named} if any(key.startswith("$") for key in named) else named
    raise ValueError(f"{where} is of type {type(value).__name__}, which cannot be saved as data")


def _decoded(value: Any, arrays: dict[str, np.ndarray], depth: int) -> Any:
    if depth > 2 * _DEEPEST:  # a dict may count twice
        raise ValueError("it is nested too deeply")
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise ValueError("it holds a number that is too long")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it holds a number that is too large")
    if isinstance(value, list):
        return [_decoded(item, arrays, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    special = [key for key in value if key.startswith("$")]
    if not special:
        return {key: _decoded(item, arrays, depth + 1) for key, item in value.items()}
    if len(value) > 1 or special[0] not in _SPECIAL:
        _unknown(special[0])
    return _SPECIAL[special[0]](value[special[0]], arrays, depth)


def _float(value: Any, arrays: dict[str, np.ndarray], depth: int) -> float:
    if not isinstance(value, str) or value not in _NOT_FINITE:
        _unknown("$float")
    return _NOT_FINITE[value]


def _scalar(value: Any, arrays: dict[str, np.ndarray], depth: int) -> np.generic:
    if not isinstance(value, list) or len(value) != 2 or value[0] not in list(_SCALARS):
        _unknown("$scalar")
    kind, number = _SCALARS[value[0]], _decoded(value[1], arrays, depth + 1)
    wanted = {"b": bool, "i": int, "u": int, "f": float}[np.dtype(kind).kind]
    if type(number) is not wanted:
        _unknown("$scalar")
    with np.errstate(over="ignore"):
        try:
            scalar: np.generic = kind(number)
        except OverflowError:
            _unknown("$scalar")
    if not (scalar.item() == number or number != number):
        _unknown("$scalar")
    return scalar


def _array(value: Any, arrays: dict[str, np.ndarray], depth: int) -> np.ndarray:
    if not isinstance(value, str) or value not in arrays:
        raise ValueError(f"it refers to an array that is missing or used elsewhere ({str(value)[:40]!r})")
    return arrays.pop(value)


def _tuple(value: Any, arrays: dict[str, np.ndarray], depth: int) -> tuple[Any, ...]:
    if not isinstance(value, list):
        _unknown("$tuple")
    return tuple(_decoded(item, arrays, depth + 1) for item in value)


def _dict(value: Any, arrays: dict[str, np.ndarray], depth: int) -> dict[str, Any]:
    if not isinstance(value, dict) or not any(key.startswith("$") for key in value):
        _unknown("$dict")
    return {key: _decoded(item, arrays, depth + 1) for key, item in value.items()}


_SPECIAL = {"$float": _float, "$scalar": _scalar, "$array": _array, "$tuple": _tuple, "$dict": _dict}


def _unknown(key: str) -> NoReturn:
    raise ValueError(f"it holds something of an unknown kind ({key[:40]!r})")


def is_array_name(name: str) -> bool:
    """Whether `encode` gives arrays such names."""
    return _ARRAY_NAME.fullmatch(name) is not None


# -- checks of what was decoded ---------------------------------------------------------------------------


def fields(data: Any, where: str, **kinds: type | tuple[type, ...]) -> list[Any]:
    """Return the values of a dict that must have exactly the keys given, of the types given.

    Parameters
    ----------
    data : object
        What was read.
    where : str
        What it is, for messages.
    **kinds : type or tuple of types
        By key; ``object`` for anything. ``bool`` does not count as ``int``.

    Returns
    -------
    list
        The values in the order of `kinds`.

    Raises
    ------
    ValueError
    """
    if not isinstance(data, dict):
        raise ValueError(f"{where} must be a dict, got {type(data).__name__}")
    if data.keys() != kinds.keys():
        wrong = next(iter(kinds.keys() ^ data.keys()))
        raise ValueError(f"{where} {'lacks' if wrong in kinds else 'has the unknown entry'} {wrong[:40]!r}")
    for key, kind in kinds.items():
        allowed = kind if isinstance(kind, tuple) else (kind,)
        # By type, not by isinstance: True is an int.
        if kind is not object and type(data[key]) not in allowed:
            raise ValueError(
                f"{key!r} of {where} must be {' or '.join(known.__name__ for known in allowed)}, got "
                f"{type(data[key]).__name__}"
            )
    return [data[key] for key in kinds]


def numbers(value: Any, where: str, ndim: int) -> np.ndarray:
    """Return an array of finite numbers with so many dimensions, ValueError if `value` is something else."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or value.ndim != ndim:
        raise ValueError(f"{where} must be an array of numbers with {ndim} dimensions")
    if not np.isfinite(value).all():
        raise ValueError(f"{where} must be finite")
    return value


def array(
    value: Any, where: str, shape: tuple[int, ...], dtype: str = "float64", *, finite: bool = True
) -> np.ndarray:
    """Return an array of that very shape and dtype, ValueError if `value` is something else or not finite."""
    if not isinstance(value, np.ndarray) or value.dtype != np.dtype(dtype) or value.shape != shape:
        raise ValueError(f"{where} must be an array of {dtype} with shape {shape}")
    if finite and not np.isfinite(value).all():
        raise ValueError(f"{where} must be finite")
    return value


def texts(value: Any, where: str) -> list[str]:
    """Return a list of different strings, ValueError if `value` is something else."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{where} must be a list of texts")
    if len(set(value)) != len(value):
        raise ValueError(f"{where} must be different from each other")
    return value
