"""What an estimator says to those who call it as another library's: one sentence with what to write instead."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

Estimator = TypeVar("Estimator")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_PENALTY = (
    "a normal prior is a ridge penalty, of which prior_scale=... sets the strength, prior='laplace' a lasso's"
)
_SETTLED = "nothing is iterated to a tolerance: leave it out"
_ROWS = "what belongs to rows is given to fit, as in fit(X, y, {}=...)"
#: Parameters that others have, and what stands for them here.
_ELSEWHERE = {
    **dict.fromkeys(("alpha", "alphas", "lambda_", "l1_ratio", "penalty", "C", "reg_lambda"), _PENALTY),
    **dict.fromkeys(("solver", "max_iter", "tol", "warm_start", "copy_X", "early_stopping"), _SETTLED),
    **dict.fromkeys(("seed", "random_seed"), "write random_state=..."),
    **dict.fromkeys(("n_chains", "num_chains"), "write chains=..."),
    **dict.fromkeys(
        ("n_samples", "num_samples", "n_iter", "iter", "iter_sampling", "samples"), "write draws=..."
    ),
    **dict.fromkeys(("warmup", "burn", "burn_in", "num_warmup", "iter_warmup", "n_tune"), "write tune=..."),
    **dict.fromkeys(("cores", "threads"), "write n_jobs=..."),
    "adapt_delta": "write target_accept=...",
    **dict.fromkeys(("sample_weight", "offset", "exposure", "trials", "standard_error"), _ROWS),
    "weights": _ROWS.format("sample_weight"),
    "class_weight": "weights of rows are given to fit, as in fit(X, y, sample_weight=...)",
    "multi_class": "two classes or more are told by y: leave it out",
    "family": "BayesianGLM(family=...) takes one",
    "link": "BayesianGLM(link=...) takes one",
    "weights_type": "weights are frequencies; BayesianLinearRegression(weights_type='precision') takes the other kind",
}
_PRIOR = "prior"


class Hints:
    """Base of the estimators; not for use by itself."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _explained(cls.__init__)  # type: ignore[method-assign]

    def set_params(self, **params: Any) -> Any:
        """Set parameters, also those of a prior inside, as ``prior__scale``; see `sklearn.base.BaseEstimator`.

        Raises
        ------
        ValueError
            In one sentence, if there is no such parameter, or nothing inside that has one.
        """
        known = inspect.signature(type(self)).parameters
        for key, value in params.items():
            name, inside, rest = key.partition("__")
            holder = params.get(name, getattr(self, name, None))
            if inside and name in known and not hasattr(holder, "set_params"):
                remedy = f"{name}_scale={value!r}" if (name, rest) == (_PRIOR, "scale") else ""
                example = f"{name}=..., {key}={value!r}"
                raise ValueError(
                    f"{key}={value!r} sets {rest!r} of {name}, but {name}={holder!r} is no object that has one: set "
                    f"{remedy}{' or ' if remedy else ''}both, as in set_params({example})."
                )
        return super().set_params(**params)  # type: ignore[misc]


class Elsewhere:
    """An attribute that there is not, and that says what to use instead; `hasattr` is False, of class and object.

    Parameters
    ----------
    instead : str
        The rest of the sentence after "<class> has no <name>".
    """

    def __init__(self, instead: str):
        self._instead = instead

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        raise AttributeError(f"{owner.__name__} has no {self._name}: {self._instead}.")


def named(
    method: Callable[Concatenate[Estimator, Arguments], Result],
) -> Callable[Concatenate[Estimator, Arguments], Result]:
    """Let a method that is called with arguments it does not take name the class that the user knows."""

    @wraps(method)
    def called(self: Estimator, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return method(self, *args, **kwargs)
        except TypeError:
            refuse_arguments(method, self, args, kwargs)
            raise

    return called


def refuse_arguments(method: Callable[..., Any], owner: Any, args: Any, kwargs: Any) -> None:
    """Raise TypeError, in the name of the object's class, if these are no arguments of the method."""
    signature = inspect.signature(method)
    try:
        signature.bind(owner, *args, **kwargs)
    except TypeError as error:
        known = [name for name in signature.parameters if name != "self"]
        unknown = [name for name in kwargs if name not in known]
        near = difflib.get_close_matches(unknown[0], known, n=1) if unknown else []
        takes = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known)}."
        raise TypeError(f"{type(owner).__name__}.{method.__name__}() {error}; {takes}") from None


def _explained(init: Any) -> Any:
    """Return a constructor that says what to write instead of arguments it does not take."""

    @wraps(init)
    def constructor(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except TypeError:
            text = _instead(type(self).__name__, inspect.signature(init), args, kwargs)
            if text:
                raise TypeError(text) from None
            raise

    return constructor


def _instead(kind: str, signature: inspect.Signature, args: Any, kwargs: Any) -> str:
    """Say what is wrong with the arguments of a constructor, or nothing if they are such as it takes."""
    known = [name for name in signature.parameters if name != "self"]
    unknown = [name for name in kwargs if name not in known]
    if len(args) > 1:
        made, data = (f"{kind}({args[0]!r})", "data") if isinstance(args[0], str) else (f"{kind}()", "X, y")
        return f"{kind} takes the formula, and all other parameters by name; data are given to fit: {made}.fit({data})."
    if not unknown:
        return ""
    name = unknown[0]
    short = name.removesuffix("_prior")
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    if name.endswith("_prior") and "aux_priors" in known:
        hint = f"write aux_priors={{{short!r}: ...}}"
    elif name == "aux_priors":
        own = [other for other in known if other.endswith("_prior") and other != "intercept_prior"]
        hint = (
            f"write {' or '.join(f'{other}=...' for other in own)}"
            if own
            else "its family has none: leave it out"
        )
    elif name in _ELSEWHERE:
        hint = _ELSEWHERE[name].format(name)
    elif near:
        hint = f"did you mean {near[0]}?"
    else:
        hint = f"it takes {', '.join(known)}"
    return f"{kind} has no parameter {name!r}: {hint}{'' if hint.endswith('?') else '.'}"
