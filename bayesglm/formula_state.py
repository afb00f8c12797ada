"""What patsy keeps: a closed environment for a formula's code, and pickles of what refuses pickling."""

import ast
import builtins
import functools
import importlib
import io
import pickle
import re
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bayesglm.formula_limits import guarded
from bayesglm.formula_names import PYTHON_BUILTINS

_BUILTINS = {name: getattr(builtins, name) for name in PYTHON_BUILTINS}


@functools.lru_cache
def _only_called(code: str) -> frozenset[str]:
    """Names that are only functions, as C in C(g), so that no column of that name may hide them."""
    tree = ast.parse(code.strip(), mode="eval")
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    others = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node not in functions}
    return frozenset(node.id for node in functions if isinstance(node, ast.Name)) - others


@functools.lru_cache
def _transforms(code: str) -> tuple[str, ...]:
    """Names under which patsy has put stateful transforms into the code."""
    return tuple(dict.fromkeys(re.findall(r"\b_patsy_stobj\d+__\w+__(?=\.)", code)))


@functools.cache
def _environment_class() -> type:
    from patsy.eval import EvalEnvironment, VarLookupDict

    class ClosedEnvironment(EvalEnvironment):
        """Evaluates code with a few builtins of Python only, and never in a caller's variables."""

        def eval(self, expr: str, source_name: str = "<formula>", inner_namespace: Any = None) -> Any:
            code = compile(expr, source_name, "eval", self.flags, dont_inherit=True)
            known = self.namespace
            called = {name: known[name] for name in _only_called(expr) if name in known}
            inner = inner_namespace or {}
            judged = {name: guarded(inner[name]) for name in _transforms(expr) if name in inner}
            names = VarLookupDict([called, judged, inner, *self._namespaces])
            return eval(code, {"__builtins__": _BUILTINS}, names)

        def subset(self, names: list[str]) -> "ClosedEnvironment":
            # patsy's own method returns its own class, and with it all builtins.
            found = self.namespace
            return type(self)([{name: found[name] for name in names}], self.flags)

    return ClosedEnvironment


def environment(helpers: Mapping[str, Any]) -> Any:
    """Return a patsy environment in which only ``np``, patsy's builtins and `helpers` are known.

    Parameters
    ----------
    helpers : mapping
        The user's functions and constants, by name.

    Returns
    -------
    patsy.EvalEnvironment
    """
    return _environment_class()([{"np": np, **helpers}])


def _restored_environment(namespaces: list[dict[str, Any]]) -> Any:
    return _environment_class()(namespaces)


def _bare_object(kind: type) -> Any:
    return object.__new__(kind)


def _patsy_builtin(name: str) -> Any:
    return getattr(importlib.import_module("patsy.builtins"), name)


class _Pickler(pickle.Pickler):
    """Pickles patsy's objects by their attributes and modules by name; leaves out the user's functions."""

    def __init__(self, file: io.BytesIO, functions: Mapping[str, Callable[..., Any]]):
        super().__init__(file)
        self._names = {id(function): name for name, function in functions.items()}

    def persistent_id(self, obj: Any) -> str | None:
        return self._names.get(id(obj))

    def reducer_override(self, obj: Any) -> Any:
        from patsy import builtins as patsy_builtins
        from patsy import stateful_transform
        from patsy.eval import EvalEnvironment

        if isinstance(obj, types.ModuleType):
            return importlib.import_module, (obj.__name__,)
        if isinstance(obj, EvalEnvironment):
            return _restored_environment, ([dict(names) for names in obj._namespaces],)
        if isinstance(obj, types.FunctionType) and hasattr(obj, "__patsy_stateful_transform__"):
            # Such a function bears the name of the class that it wraps: pickle does not find it by name.
            for name in patsy_builtins.__all__:
                if getattr(patsy_builtins, name) is obj:
                    return _patsy_builtin, (name,)
            return stateful_transform, (obj.__patsy_stateful_transform__,)
        if not isinstance(obj, type) and type(obj).__module__.partition(".")[0] == "patsy":
            return _bare_object, (type(obj),), obj.__dict__
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, functions: Mapping[str, Callable[..., Any]]):
        super().__init__(file)
        self._functions = functions

    def persistent_load(self, pid: str) -> Any:
        return self._functions[pid]


def dumps(state: Any, functions: Mapping[str, Callable[..., Any]]) -> bytes:
    """Pickle an object that holds patsy's objects.

    Parameters
    ----------
    state : object
        What to pickle.
    functions : mapping
        The user's functions inside it, by name. They are left out, for the caller to keep beside the bytes:
        so each kind of pickle treats them in its own way (`pickle` by reference, `cloudpickle` by value if
        need be, `copy.deepcopy` not at all).

    Returns
    -------
    bytes
    """
    file = io.BytesIO()
    _Pickler(file, functions).dump(state)
    return file.getvalue()


def loads(data: bytes, functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Undo `dumps`, given the same functions by name."""
    return _Unpickler(io.BytesIO(data), functions).load()


def outside(helpers: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """Choose the functions that `dumps` is to leave out: all but stateful transforms, which are rebuilt."""
    return {
        name: value
        for name, value in helpers.items()
        if callable(value) and not hasattr(value, "__patsy_stateful_transform__")
    }
