"""Posterior draws as ArviZ objects: an InferenceData on ArviZ 0.x, a DataTree on 1.x, from the same code.

Both are trees of xarray datasets, so the datasets are built here, group by group, and only the container
depends on the version. Going through ``arviz.from_dict`` would not: its arguments differ, 0.x drops groups
that it does not know without a word, it matches dimensions to variables by name across all groups, and it
warns about more chains than draws.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayesglm._version import __version__

OBSERVATIONS = "obs"
FEATURES = "feature"
RESPONSES = "response"
CLASSES = "class"
#: What coefficients may be called in the groups of parameters.
NAMINGS = ("coef", "terms")
_SAMPLE = ("chain", "draw")
_DIMENSIONS = (*_SAMPLE, OBSERVATIONS, FEATURES, RESPONSES, CLASSES)
_PARAMETERS = ("Intercept", "coef", "sigma")
_OF_CLASS = ("Intercept", "coef")

_PARAMETER_GROUPS = ("posterior", "prior", "log_prior")
_PER_OBSERVATION = ("posterior_predictive", "prior_predictive", "log_likelihood", "observed_data")
_DATA_GROUPS = ("observed_data", "constant_data")
# These belong to the estimator or the user, and are copied; the others are made for the call.
_COPIED = ("posterior", "sample_stats", *_DATA_GROUPS)

_FLAGS = ("diverging", "reached_max_treedepth")
_COUNTS = ("tree_depth", "n_steps", "index_in_trajectory")

# One variable a column is a convenience for plots; past this number it would bury the group and slow its
# file.
_MOST_COLUMNS = 100


def to_arviz(
    groups: Mapping[str, Mapping[str, ArrayLike] | None],
    *,
    features: Sequence[str],
    observations: Sequence | np.ndarray | None = None,
    response: str = "y",
    responses: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    names: str = "coef",
    attrs: Mapping[str, Any] | None = None,
) -> Any:
    """Put named arrays into the container of the installed ArviZ.

    Parameters
    ----------
    groups : mapping of group name to mapping of variable name to array
        Any of ``posterior``, ``sample_stats``, ``prior``, ``sample_stats_prior``, ``posterior_predictive``,
        ``prior_predictive``, ``log_likelihood``, ``log_prior``, ``observed_data`` and ``constant_data``; a
        group that is ``None`` or empty is left out. Shapes: (chain, draw) or, for ``coef``, (chain, draw,
        p); for the response in the predictive groups and ``log_likelihood`` (chain, draw, n), in
        ``observed_data`` (n,); in ``constant_data`` ``X`` (n, p) and others, such as weights, (n,). The
        variables of ``posterior``, ``sample_stats``, ``observed_data`` and ``constant_data`` are copied, so
        that a change of the result cannot reach the estimator.
    features : sequence of str, length p
        Names of the columns: the coordinate of dimension ``feature``, where a name that occurs again is
        numbered, as in ``x`` and ``x (2)``. Without columns (p = 0) the variables ``coef`` and ``X`` are
        left out, since ArviZ's tables and plots cannot show an empty variable.
    observations : sequence of length n or None, default None
        Labels of the rows: the coordinate of dimension ``obs``. Numbers, dates and strings stay what they
        are, anything else becomes its string, since a file could not hold it. ``None``: 0, 1, 2, ...
    response : str, default "y"
        Name of the response, as used in `groups`. It appears under this name, except that ``/``, which
        separates groups in a file, becomes ``_``, and that a name which is taken (``chain``, ``draw``,
        ``obs``, ``feature``, ``response``, ``Intercept``, ``coef``, ``sigma``) gets a ``_`` at its end.
    responses : sequence of str, length k, or None, default None
        Names of several responses: the coordinate of dimension ``response``. It comes behind ``draw`` in
        parameters (``coef`` is then (chain, draw, k, p)) and last in what has one number an observation.
    classes : sequence of str, length k, or None, default None
        Names of the classes that intercepts and coefficients belong to: the coordinate of dimension ``class``, behind
        ``draw``.
    names : {"coef", "terms"}, default="coef"
        What coefficients are called in ``posterior``, ``prior`` and ``log_prior``: one variable ``coef`` with the
        dimension ``feature``, or a variable for each under its own name, such as ``x`` and ``C(g)[T.b]``. In the
        latter ``/`` becomes ``_``, a name that is taken (those listed above, and the other parameters of the groups,
        such as ``phi``) gets a ``_`` at its end, and one that occurs again is numbered.
    attrs : mapping or None, default None
        What else to record, such as ``sampling_time`` (seconds), ``tuning_steps`` and ``sampler``. Written
        on the whole and on ``posterior`` and ``sample_stats``; ``None`` values are left out, and what
        NetCDF cannot hold becomes its string. All groups record ``created_at``, ``inference_library`` and
        its version.

    Returns
    -------
    arviz.InferenceData (ArviZ 0.x) or xarray.DataTree (ArviZ 1.x)
        In both ``result["posterior"]["coef"]`` is the array with its labels. ``constant_data`` holds
        besides ``X`` each column under its own name, for plots against a predictor, where that name is
        free, can stand in a file, and p is at most 100.

    Raises
    ------
    ValueError
        If `observations` has not one label for each row.
    """
    import xarray as xr

    origin = {
        "created_at": datetime.now(UTC).isoformat(),
        "inference_library": "bayesglm",
        "inference_library_version": __version__,
    }
    record = {**origin, **_storable(attrs or {})}
    columns = _distinct(features)
    shown = _free_name(response or "y")
    own = None
    if names == "terms":
        others = {name for group in _PARAMETER_GROUPS for name in groups.get(group) or {}}
        own = _distinct([_free_name(str(name), others) for name in features])
    labels = None if observations is None else _labels(observations)

    datasets = {}
    for group, variables in groups.items():
        arrays = {
            (shown if group in _PER_OBSERVATION and name == response else name): _array(name, values, group)
            for name, values in (variables or {}).items()
            if columns or name not in ("coef", "X")
        }
        if not arrays:
            continue
        each = () if responses is None else (RESPONSES,)
        of_class = each if classes is None else (CLASSES,)
        contents = {
            name: (_dimensions(group, name, array.ndim, of_class if name in _OF_CLASS else each), array)
            for name, array in arrays.items()
        }
        if own is not None and group in _PARAMETER_GROUPS:
            contents = _by_name(contents, own)
        if group == "constant_data" and "X" in arrays and len(columns) <= _MOST_COLUMNS:
            for column, name in enumerate(columns):
                if name not in (*contents, *_DIMENSIONS, shown, "") and "/" not in name:
                    contents[name] = ((OBSERVATIONS,), arrays["X"][:, column])
        datasets[group] = xr.Dataset(
            contents,
            coords=_coordinates(contents, columns, labels, {RESPONSES: responses, CLASSES: classes}),
            # Two of ArviZ 1.x's plots ask the data sets, not the caller, which dimensions are draws.
            attrs={
                **(record if group in ("posterior", "sample_stats") else origin),
                **({} if group in _DATA_GROUPS else {"sample_dims": list(_SAMPLE)}),
            },
        )
    return _container(datasets, record)


def gaussian_groups(
    draws: Mapping[str, np.ndarray],
    X: Any,
    y: np.ndarray,
    response: str,
    rng: np.random.Generator,
    prior: Mapping[str, np.ndarray] | None = None,
    weights: np.ndarray | None = None,
    precision: bool = False,
) -> dict[str, dict[str, np.ndarray]]:
    """Compute the groups that depend on the data, for one response with Gaussian noise.

    Parameters
    ----------
    draws : mapping of ndarray
        ``Intercept`` (chain, draw; may be absent), ``coef`` (chain, draw, p), ``sigma`` (chain, draw).
    X : ndarray or sparse array of shape (n, p)
    y : ndarray of shape (n,)
    response : str
        Name of the response.
    rng : numpy.random.Generator
        Of the predictive draws.
    prior : mapping of ndarray or None, default None
        Draws of the prior, as many and in the same shape.
    weights : ndarray of shape (n,) or None, default None
        Of the rows.
    precision : bool, default False
        Whether they divide the noise's variance instead of counting rows.

    Returns
    -------
    dict
        ``posterior``, ``posterior_predictive``, ``log_likelihood``, ``observed_data``, ``constant_data`` and,
        given `prior`, ``prior`` and ``prior_predictive``.
    """
    noise = np.ones(len(y)) if weights is None or not precision else 1.0 / np.sqrt(weights)
    mean, sigma = _line(draws, X), draws["sigma"][..., np.newaxis] * noise
    log_likelihood = -0.5 * ((y - mean) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2.0 * np.pi)
    if weights is not None and not precision:
        log_likelihood *= weights
    groups = {
        "posterior": dict(draws),
        "posterior_predictive": {response: mean + sigma * rng.standard_normal(mean.shape)},
        "log_likelihood": {response: log_likelihood},
        "observed_data": {response: y},
        "constant_data": {
            **({"X": X} if isinstance(X, np.ndarray) else {}),
            **({} if weights is None else {"sample_weight": weights}),
        },
    }
    if prior is not None:
        mean = _line(prior, X)
        mean += prior["sigma"][..., np.newaxis] * noise * rng.standard_normal(mean.shape)
        groups["prior"], groups["prior_predictive"] = dict(prior), {response: mean}
    return groups


def _line(draws: Mapping[str, np.ndarray], X: Any) -> np.ndarray:
    """Return the regression lines of draws at the rows of X, shape (chain, draw, n)."""
    coef = draws["coef"]
    flat = coef.reshape(coef.shape[0] * coef.shape[1], coef.shape[2])
    mean: np.ndarray = np.asarray((X @ flat.T).T if not isinstance(X, np.ndarray) else flat @ X.T)
    mean = mean.reshape(*coef.shape[:2], -1) if flat.size else np.zeros((*coef.shape[:2], X.shape[0]))
    if "Intercept" in draws:
        mean += draws["Intercept"][..., np.newaxis]
    return mean


def _container(datasets: dict[str, Any], attrs: dict[str, Any]) -> Any:
    """The datasets in what the installed ArviZ works with."""
    # Not hasattr(arviz, "InferenceData"): 1.x answers that with DataTree and a warning. And for a DataTree
    # xarray alone is needed, which loads four times faster than ArviZ.
    if arviz_version() >= 1:
        import xarray as xr

        tree = xr.DataTree.from_dict(datasets)
        tree.attrs.update(attrs)
        return tree
    import arviz as az

    return az.InferenceData(attrs=attrs, **datasets)


def _free_name(name: str, others: Collection[str] = ()) -> str:
    """The name as it can stand in a file, with ``_`` at its end where it means something else already."""
    name = name.replace("/", "_")
    taken = ("", *_DIMENSIONS, *_PARAMETERS, *others)
    while name in taken:
        name += "_"
    return name


def _by_name(
    contents: Mapping[str, tuple[tuple[str, ...], np.ndarray]], names: Sequence[str]
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """The variables with one for each coefficient, under the names, in place of ``coef``."""
    split: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    for variable, (dimensions, array) in contents.items():
        if dimensions[-1:] == (FEATURES,):
            each = np.ascontiguousarray(np.moveaxis(array, -1, 0))
            split |= {name: (dimensions[:-1], values) for name, values in zip(names, each, strict=True)}
        else:
            split[variable] = dimensions, array
    return split


def elpd_data(
    *,
    elpd: float,
    se: float,
    p: float,
    n_draws: int,
    good_k: float,
    warning: bool,
    elpd_i: np.ndarray,
    pareto_k: np.ndarray,
    rows: np.ndarray,
) -> Any:
    """Put what leave-one-out says of a model into ArviZ's container of it, an ``ELPDData``.

    Parameters
    ----------
    elpd, se, p, good_k : float
    n_draws : int
    warning : bool
        Whether a shape exceeds `good_k`.
    elpd_i, pareto_k : ndarray of shape (n,)
    rows : ndarray of shape (n,)
        Labels of the rows.
    """
    import arviz as az
    import xarray as xr

    by_row = {
        name: xr.DataArray(values, dims=(OBSERVATIONS,), coords={OBSERVATIONS: rows}, name=name)
        for name, values in (("elpd_i", elpd_i), ("pareto_k", pareto_k))
    }
    numbers = {"elpd": elpd, "se": se, "p": p, "n_samples": n_draws, "n_data_points": len(rows)}
    if arviz_version() >= 1:
        # Later ones have a class for each kind of cross-validation.
        kind = getattr(az, "ELPDDataLOO", None) or partial(az.ELPDData, kind="loo")
        return kind(**numbers, **by_row, scale="log", warning=warning, good_k=good_k)
    old = {"elpd": "elpd_loo", "p": "p_loo", "elpd_i": "loo_i"}
    named = {**numbers, "warning": warning, **by_row, "scale": "log", "good_k": good_k}
    named = {old.get(name, name): value for name, value in named.items()}
    return az.ELPDData(data=list(named.values()), index=list(named))


def arviz_version() -> int:
    """Return the first number of the installed ArviZ's version, without importing it."""
    return int(metadata.version("arviz").split(".")[0])


def _array(name: str, values: ArrayLike, group: str) -> np.ndarray:
    """The values as the type that ArviZ expects under this name."""
    dtype = bool if name in _FLAGS else np.int64 if name in _COUNTS else None
    in_statistics = group.startswith("sample_stats")
    return np.array(values, dtype=dtype if in_statistics else None, copy=True if group in _COPIED else None)


def _dimensions(group: str, name: str, ndim: int, each: tuple[str, ...]) -> tuple[str, ...]:
    """Names of an array's axes; ``each`` is that of several responses or classes."""
    leading: tuple[str, ...] = () if group in _DATA_GROUPS else _SAMPLE
    meanings: tuple[str, ...] = ()
    if group == "constant_data":
        meanings = (OBSERVATIONS, FEATURES)
    elif group in _PER_OBSERVATION:
        meanings = (OBSERVATIONS, *each)
    elif group in _PARAMETER_GROUPS:
        meanings = (*each, FEATURES) if name == "coef" else each
    named = (*leading, *meanings)[:ndim]
    return (*named, *(f"{name}_dim_{axis}" for axis in range(ndim - len(named))))


def _coordinates(
    contents: Mapping[str, tuple[tuple[str, ...], np.ndarray]],
    features: Sequence[str],
    labels: np.ndarray | None,
    named: Mapping[str, Sequence[str] | None],
) -> dict[str, np.ndarray]:
    """Labels along the dimensions in use."""
    sizes = {
        dimension: size
        for dimensions, array in contents.values()
        for dimension, size in zip(dimensions, array.shape, strict=True)
    }
    coordinates = {dimension: np.arange(size) for dimension, size in sizes.items()}
    if FEATURES in sizes:
        coordinates[FEATURES] = np.array(features)
    for dimension, names in named.items():
        if dimension in sizes and names is not None:
            coordinates[dimension] = np.array(_distinct(names))
    if OBSERVATIONS in sizes and labels is not None:
        if len(labels) != sizes[OBSERVATIONS]:
            rows = sizes[OBSERVATIONS]
            raise ValueError(
                f"observations must have one label for each of the {rows} rows, got {len(labels)}."
            )
        coordinates[OBSERVATIONS] = labels
    return coordinates


def _labels(observations: Sequence | np.ndarray) -> np.ndarray:
    """Labels that an index and a file can hold: numbers, dates or strings."""
    try:
        plain = np.asarray(observations)
    except ValueError:  # labels that are sequences of different lengths
        plain = np.empty((0, 0))
    if plain.ndim == 1 and plain.dtype.kind in "iufMmU":
        return plain
    return np.array([str(label) for label in observations])


def _distinct(features: Sequence[str]) -> list[str]:
    """The names, a repeated one numbered: ArviZ 0.x cannot make a table of equal labels."""
    seen: Counter[str] = Counter()
    names: dict[str, None] = {}
    for name in map(str, features):
        seen[name] += 1
        fresh = name if seen[name] == 1 else f"{name} ({seen[name]})"
        while fresh in names:
            seen[name] += 1
            fresh = f"{name} ({seen[name]})"
        names[fresh] = None
    return list(names)


def _storable(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as NetCDF can hold them: text, numbers and arrays of numbers."""
    stored: dict[str, Any] = {}
    for name, value in attrs.items():
        if value is None:
            continue
        if isinstance(value, bool | np.bool_):
            stored[name] = int(value)
            continue
        numbers = isinstance(value, np.ndarray) and value.ndim <= 1 and value.dtype.kind in "iuf"
        stored[name] = value if numbers or isinstance(value, str | Real) else str(value)
    return stored
