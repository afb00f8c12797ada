"""What must hold whatever comes in: an end in time, refusals of ours, and nothing changed that should not be."""

import linecache
import signal
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
from scipy import sparse
from sklearn.exceptions import UndefinedMetricWarning

import bayesglm
from tests import fuzz_data
from tests.fuzz_models import FEW, MODELS, Case

#: What a case may take before it counts as hanging, in seconds.
PATIENCE = 60


class BrokenPromiseError(AssertionError):
    """Something that must hold does not."""


class HangError(BaseException):
    """A case took too long."""


def expect(holds: Any, what: str) -> None:
    if not holds:
        raise BrokenPromiseError(what)


def finite(values: Any, what: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    found = np.asarray(values)
    expect(found.dtype.kind == "f", f"{what} has dtype {found.dtype}")
    expect(shape is None or found.shape == shape, f"{what} has shape {found.shape} instead of {shape}")
    expect(np.isfinite(found).all(), f"{what} is not finite: {found.reshape(-1)[:5]}")
    return found


@contextmanager
def patience(seconds: int = PATIENCE) -> Iterator[None]:
    """Interrupt what does not come to an end."""

    def stop(number: int, frame: Any) -> None:
        raise HangError(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def strict() -> Iterator[None]:
    """Make errors of all warnings but those that are documented: UserWarning and its children."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        for module in ("arviz", "xarray", "patsy", "pandas", "joblib"):
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=module)
            warnings.filterwarnings("ignore", category=FutureWarning, module=module)
        yield


def refusal(error: BaseException) -> str:
    """Return the words of an error of ours; anything else is raised again."""
    if not isinstance(error, ValueError | TypeError) or isinstance(error, UnicodeError):
        raise error
    last = traceback.extract_tb(error.__traceback__)[-1]
    path = Path(last.filename)
    text = str(error)
    if "sklearn" in path.parts:
        return text
    line = last.line or linecache.getline(last.filename, last.lineno or 0)
    if not line and path.suffix == ".pyx":  # compiled: their paths are relative to the root
        line = linecache.getline(str(Path(bayesglm.__file__).parents[1] / path), last.lineno or 0)
    if "bayesglm" not in path.parts or "raise" not in line:
        raise error
    expect(10 < len(text) < 1500, f"no sentence: {text[:2000]!r}")
    return text


def place(error: BaseException) -> str:
    """Return where in the package an error came from: its innermost line there."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        frame
        for frame in frames
        if "bayesglm" in Path(frame.filename).parts and "tests" not in frame.filename
    ]
    frame = (ours or frames)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}" if ours else f"{frame.name}"
    return f"{type(error).__name__} at {where}" + ("" if ours else f": {str(error)[:60]}")


# -- before and after ------------------------------------------------------------------------------------


def words(value: Any) -> str:
    """Return all that data hold, as text."""
    if isinstance(value, dict) and not sparse.issparse(value):
        return str({key: words(one) for key, one in value.items()})
    if isinstance(value, tuple | list):
        return str([words(one) for one in value])
    if isinstance(value, pd.DataFrame):
        return words(
            [value.columns.tolist(), value.index.tolist(), [value.iloc[:, j] for j in range(value.shape[1])]]
        )
    if isinstance(value, pd.Series):
        return f"{value.dtype} {value.tolist()}"
    if isinstance(value, pl.DataFrame):
        return str(value.to_dict(as_series=False))
    if isinstance(value, np.ma.MaskedArray):
        return f"{value.dtype} {value.data.tolist()} {value.mask.tolist()}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.tolist()}"
    return f"{value.toarray().tolist()}" if sparse.issparse(value) else repr(value)


def digest(value: Any) -> Any:
    """Return a fingerprint of an attribute; its identity where it cannot be pickled."""
    try:
        return joblib.hash(value)
    except Exception:  # a generator, a function of somebody's
        return id(value)


def state(model: Any) -> dict[str, Any]:
    """Return all attributes with their identities and, of what is not drawn from, their fingerprints."""
    return {
        key: (id(value), None if key == "random_state" else digest(value))
        for key, value in vars(model).items()
    }


def good_data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return data that a model of the kind is fitted to without further ado."""
    rng = np.random.default_rng(5)
    return rng.normal(size=(12, 2)), fuzz_data.response(MODELS[case.name][2], 12, rng)


def good_more(case: Case) -> dict[str, Any]:
    return {"trials": np.full(12, 5)} if case.name == "glm binomial" else {}


def good_model(case: Case) -> Any:
    kind, params, _, _ = MODELS[case.name]
    return kind(**{**FEW, **params})
