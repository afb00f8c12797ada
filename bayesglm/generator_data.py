"""NumPy's random number generators as plain data, and back, trusting nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesglm.plain_data import array, fields

# What `state` of each of NumPy's bit generators holds: the largest value of a number, or dtype and shape of an
# array. NumPy itself believes what it is given, and reads beyond its buffer where a position lies there.
_WORD = {"has_uint32": 1, "uinteger": 2**32 - 1}
_PCG: dict[str, Any] = {"state": {"state": 2**128 - 1, "inc": 2**128 - 1}, **_WORD}
_LAYOUT: Mapping[str, dict[str, Any]] = {
    "MT19937": {"state": {"key": ("uint32", (624,)), "pos": 624}},
    "PCG64": _PCG,
    "PCG64DXSM": _PCG,
    "Philox": {
        "state": {"counter": ("uint64", (4,)), "key": ("uint64", (2,))},
        "buffer": ("uint64", (4,)),
        "buffer_pos": 4,
        **_WORD,
    },
    "SFC64": {"state": {"state": ("uint64", (4,))}, **_WORD},
}


def describe(generator: Any) -> dict[str, Any] | None:
    """Turn a generator into plain data.

    Parameters
    ----------
    generator : BitGenerator, Generator, RandomState or any other object

    Returns
    -------
    dict or None
        None if it is none of these, or not of NumPy's own: what cannot be loaded. The seed sequence is not
        kept: a Generator goes on with the same numbers, but spawns others.
    """
    kind = type(generator)
    if kind is np.random.Generator:
        return _wrapped("Generator", describe(generator.bit_generator))
    if kind is np.random.RandomState:
        state = generator.get_state(legacy=False)
        inner = _wrapped("RandomState", describe(generator._bit_generator))
        if inner is None or state["bit_generator"] != "MT19937":
            return None
        return {**inner, "gauss": float(state["gauss"]) if state["has_gauss"] else None}
    if kind.__name__ not in _LAYOUT or kind is not getattr(np.random, kind.__name__):
        return None
    state = dict(generator.state)
    return {"name": state.pop("bit_generator"), **_plain(state)}


def restore(data: Any, where: str) -> Any:
    """Make a generator of plain data.

    Parameters
    ----------
    data : object
        What `describe` returned, or whatever else was in a file.
    where : str
        What it is, for messages.

    Returns
    -------
    BitGenerator, Generator or RandomState

    Raises
    ------
    ValueError
        If `data` is not the state of one of NumPy's generators.
    """
    name = data.get("name") if isinstance(data, dict) else None
    if name == "Generator":
        _, inner = fields(data, where, name=str, generator=dict)
        return np.random.Generator(_bit_generator(inner, where))
    if name == "RandomState":
        _, inner, gauss = fields(data, where, name=str, generator=dict, gauss=(float, type(None)))
        bits = _bit_generator(inner, where)
        if not isinstance(bits, np.random.MT19937):
            raise ValueError(f"{where} must be a RandomState of MT19937")
        random_state = np.random.RandomState(bits)
        random_state.set_state({**bits.state, "has_gauss": int(gauss is not None), "gauss": gauss or 0.0})
        return random_state
    return _bit_generator(data, where)


def _wrapped(name: str, inner: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if inner is None else {"name": name, "generator": inner}


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state with Python's integers and arrays of its own."""
    plain: dict[str, Any] = {}
    for key, value in state.items():
        if isinstance(value, dict):
            plain[key] = _plain(value)
        else:
            plain[key] = value.copy() if isinstance(value, np.ndarray) else int(value)
    return plain


def _bit_generator(data: Any, where: str) -> np.random.BitGenerator:
    name = data.get("name") if isinstance(data, dict) else None
    if not isinstance(name, str) or name not in _LAYOUT:
        raise ValueError(f"{where} must be the state of one of NumPy's generators")
    state = {key: value for key, value in data.items() if key != "name"}
    _check(state, _LAYOUT[name], where)
    inner = state["state"]
    # States that no seed leads to, in which a generator repeats itself at once.
    if not inner.get("inc", 1) % 2 or not np.any(inner.get("key", 1)):
        raise ValueError(f"{where} must be a state that {name} can be in")
    bits: np.random.BitGenerator = getattr(np.random, name)(0)
    bits.state = {"bit_generator": name, **state}
    return bits


def _check(state: Any, layout: Mapping[str, Any], where: str) -> None:
    fields(state, where, **dict.fromkeys(layout, object))
    for key, wanted in layout.items():
        value = state[key]
        if isinstance(wanted, dict):
            _check(value, wanted, where)
        elif isinstance(wanted, tuple):
            array(value, f"{key!r} of {where}", wanted[1], wanted[0])
        elif type(value) is not int or not 0 <= value <= wanted:
            raise ValueError(f"{key!r} of {where} must be a whole number from 0 to {wanted}")
