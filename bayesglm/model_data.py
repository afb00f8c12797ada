"""An estimator as plain data, and back: its parameters, what it keeps of its rows, its draws and its chains.

What follows from these by arithmetic (coordinates, quadratures, `coef_`) is not among the data. It is computed
again when they are loaded, so that no file can contradict itself.
"""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from bayesglm import formula_data, generator_data, parameter_data, prior_data
from bayesglm.inference.diagnostics import Diagnostics
from bayesglm.inference.moments import Moments
from bayesglm.inference.posterior import Posterior
from bayesglm.inference.route import Route
from bayesglm.inference.sampling import ChainState, Settings
from bayesglm.inference.sufficient import Summary, summaries
from bayesglm.kernel.nuts import STAT_NAMES
from bayesglm.kernel.target import AffineTarget
from bayesglm.parallel import one_blas_thread
from bayesglm.plain_data import array, fields
from bayesglm.validation import MIN_WEIGHT

#: Of the layout of the data, changed when older versions could not read them.
VERSION = 1
#: Statistics that are no floats: dtype in memory and in the data, where depths and steps need few bytes.
_STATS = {
    "tree_depth": ("int64", "uint8"),
    "n_steps": ("int64", "int32"),
    "index_in_trajectory": ("int64", "int32"),
    "diverging": ("bool", "bool"),
    "reached_max_treedepth": ("bool", "bool"),
}
DIAGNOSTICS = tuple(field.name for field in dataclasses.fields(Diagnostics))
#: Squares of more are no doubles, nor would those be of the responses that it belongs to.
LARGEST_SIGMA = 1e154
_NONE = type(None)


def describe(estimator: Any) -> dict[str, Any]:
    """Turn an estimator, fitted or not, into plain data.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    dict
        What `bayesglm.archive.write` takes; its size is that of the draws and their statistics.

    Raises
    ------
    ValueError
        In one sentence that says what cannot be data, and what to do.
    """
    fitted = hasattr(estimator, "posterior_")
    if fitted and not hasattr(estimator, "_moments"):
        raise ValueError(
            "the model was pickled by bayesglm 0.1.0, which did not keep what a file needs: fit it again, or pickle it"
        )
    if hasattr(estimator, "_moments"):
        formula = getattr(estimator._design, "formula", None)
        if formula != estimator.formula:
            raise ValueError(
                f"formula={estimator.formula!r} was set after a fit with formula={formula!r}: fit the model again"
            )
        meaning = vars(estimator).get("_weighted_as", estimator.weights_type)
        if not fitted and meaning != estimator.weights_type:  # a fit says by itself how weights were read
            raise ValueError(
                f"weights_type={estimator.weights_type!r} was set after rows were read with weights_type={meaning!r}: "
                "set it back"
            )
    if fitted and not all(np.isfinite(part.stacked()).all() for part in estimator.posterior_.parts):
        raise ValueError(
            "the model has draws that are not finite, which no file holds: give priors with lighter tails, such as "
            "sigma_prior=HalfNormal(1), or pickle the model instead"
        )
    data = {
        "parameters": parameter_data.describe(estimator),
        "rows": _rows_data(estimator) if hasattr(estimator, "_moments") else None,
        "fit": _fit_data(estimator) if fitted else None,
    }
    kind: Any = type(estimator)
    restore(kind.__new__(kind), data)  # what could not be loaded is not saved
    return data


def restore(estimator: Any, data: Any) -> None:
    """Make an estimator of a new object and plain data, running no code that the data could choose.

    Parameters
    ----------
    estimator : estimator
        Its class says which parameters there are.
    data : object
        What `describe` returned, or whatever else was in a file.

    Raises
    ------
    ValueError
        In one sentence, if `data` are not such an estimator.
    """
    parameters, rows, fit = fields(data, "the model", parameters=dict, rows=(dict, _NONE), fit=(dict, _NONE))
    known = inspect.signature(type(estimator)).parameters
    defaults = {name: parameter.default for name, parameter in known.items()}
    vars(estimator).update(parameter_data.restore(parameters, defaults))
    if rows is not None:
        _restore_rows(estimator, rows)
        estimator._weighted_as = estimator.weights_type
    if fit is not None:
        if rows is None:
            raise ValueError("it has draws, but nothing of the rows that they belong to")
        with one_blas_thread(), np.errstate(all="ignore"):
            _restore_fit(estimator, fit)


# -- rows --------------------------------------------------------------------------------------------------


def _rows_data(estimator: Any) -> dict[str, Any]:
    names = getattr(estimator, "feature_names_in_", None)
    return {
        "n_features": int(estimator.n_features_in_),
        "names": None if names is None else [str(name) for name in names],
        "responses": [str(name) for name in estimator._responses],
        "joint": bool(estimator._shape),
        "formula": None if estimator._design is None else formula_data.to_data(estimator._design),
        **vars(estimator._moments),
    }


def _restore_rows(estimator: Any, data: Mapping[str, Any]) -> None:
    """Set what an estimator keeps of the rows that it has seen."""
    where = "what it keeps of its rows"
    n_features, names, responses, joint, formula, n_rows, weight, *arrays, trusted = fields(
        data,
        where,
        n_features=int,
        names=(list, _NONE),
        responses=list,
        joint=bool,
        formula=(dict, _NONE),
        n_rows=int,
        weight=float,
        mean=np.ndarray,
        remainder=np.ndarray,
        spread=np.ndarray,
        unit=np.ndarray,
        factor=np.ndarray,
        rotated=np.ndarray,
        rss=np.ndarray,
        trusted=bool,
    )
    if not arrays[4].ndim:
        raise ValueError(f"the factor of {where} must be a matrix")
    check_names(responses, "its responses")
    if not responses or (len(responses) > 1 and not joint):
        raise ValueError("it must have a response, and more than one only together")
    # Columns without a name are given one, so their number must not be what a file pretends.
    if n_features != (len(arrays[4]) if names is None else len(check_names(names, "its columns"))):
        raise ValueError("it must have as many columns as their names")
    design = None if formula is None else formula_data.from_data(formula)
    if (None if design is None else design.formula) != estimator.formula or (design and names is None):
        raise ValueError("its formula must be that of its parameters")
    if design is not None:
        features, terms = design.columns, design.terms
    else:
        features, terms = tuple(names or (f"x{i}" for i in range(n_features))), {}
    p, k = len(features), len(responses)
    shapes = (p + k,), (p + k,), (p + k,), (p + k,), (p, p), (p, k), (k,)
    for name, value, shape in zip(
        ("mean", "remainder", "spread", "unit", "factor", "rotated", "rss"), arrays, shapes, strict=True
    ):
        array(value, f"the {name} of {where}", shape)
    mean, remainder, spread, unit, factor, rotated, rss = arrays
    if not (1 <= n_rows < 2**63 and MIN_WEIGHT <= weight < np.inf):
        raise ValueError(
            f"{where} must be of a positive number of rows with a weight of at least {MIN_WEIGHT}"
        )
    if np.any(spread < 0.0) or np.any(unit <= 0.0) or np.any(rss < 0.0):
        raise ValueError(f"{where} has a negative spread")
    if design is not None:  # files of earlier versions name all columns of the frame
        n_features, names = len(design.variables), list(design.variables)
    estimator.n_features_in_ = n_features
    if names is not None:
        estimator.feature_names_in_ = np.asarray(names, dtype=object)
    estimator._design, estimator._terms, estimator._features = design, terms, features
    estimator._responses, estimator._shape = tuple(responses), (k,) if joint else ()
    estimator._moments = Moments(
        n_rows, weight, mean, spread, unit, factor, rotated, rss, trusted=trusted, remainder=remainder
    )


def check_names(names: Sequence[Any], where: str) -> Sequence[str]:
    """Return names, all of which must be texts."""
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"the names of {where} must be texts")
    return names


# -- fit ---------------------------------------------------------------------------------------------------


def _fit_data(estimator: Any) -> dict[str, Any]:
    parts = estimator.posterior_.parts
    settings = parts[0].settings
    shown = settings.progressbar
    return {
        "intercept": bool(estimator._intercept),
        # Where weights are precisions, it is the rows that count; where both count alike, they mean the same.
        "precision": parts[0].weight != estimator._moments.weight,
        "settings": {**vars(settings), "progressbar": None if shown is None else bool(shown)},
        "parts": [_part_data(*both) for both in zip(parts, estimator._routes, strict=True)],
    }


def _part_data(part: Posterior, route: Any) -> dict[str, Any]:
    states, entropy = route._states, part.entropy
    return {
        "priors": prior_data.describe_set(part.prior_set),
        "draws": dict(part.draws),
        "stats": stats_data(part.stats),
        "tune": int(part.tune),
        "entropy": int(entropy) if isinstance(entropy, Integral) else [int(word) for word in entropy],
        "seconds": float(part.seconds),
        "diagnostics": dict(vars(part.diagnostics)),
        "z_scores": part.z_scores,
        "positions": np.array([state.position for state in states]),
        "step_sizes": np.array([state.step_size for state in states]),
        "generators": [generator_data.describe(state.bit_generator) for state in states],
        "map": {"shift": route.target.shift, "factor": route.target.factor}
        if isinstance(route.target, AffineTarget)
        else None,
    }


def _restore_fit(estimator: Any, data: Mapping[str, Any]) -> None:
    """Compute the routes of a fit again and set its attributes."""
    intercept, precision, settings, parts = fields(
        data, "its fit", intercept=bool, precision=bool, settings=dict, parts=list
    )
    if intercept and estimator._design is not None and not estimator._design.intercept:
        raise ValueError("its fit must not have an intercept, since its formula has none")
    if len(parts) != len(estimator._responses):
        raise ValueError("its fit must have draws for every response")
    run = restore_settings(settings)
    try:
        found = summaries(estimator._moments, intercept=intercept, precision=precision)
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"what it keeps of its rows is impossible ({error})") from None
    routes, posteriors = [], []
    for name, part, summary in zip(estimator._responses, parts, found, strict=True):
        route, posterior = _part(
            part, f"the fit of {name!r}", run, summary, estimator._features, estimator._terms
        )
        routes.append(route)
        posteriors.append(posterior)
    if estimator._moments.weight != estimator._moments.n_rows:
        estimator._weighted_as = "precision" if precision else "frequency"
    estimator._keep(found, tuple(routes), tuple(posteriors))


def restore_settings(data: Any) -> Settings:
    """Return the settings of a run, or refuse what none can have."""
    where = "its settings"
    values = fields(
        data,
        where,
        chains=int,
        draws=int,
        tune=(int, _NONE),
        target_accept=float,
        max_treedepth=int,
        jitter=float,
        n_threads=int,
        progressbar=(bool, _NONE),
    )
    settings = Settings(*values)
    if not (
        settings.chains >= 1
        and settings.draws >= 1
        and (settings.tune is None or settings.tune >= 0)
        and 0.0 < settings.target_accept < 1.0
        and 1 <= settings.max_treedepth <= 20
        and 0.0 <= settings.jitter < 1.0
        and 1 <= settings.n_threads <= settings.chains
    ):
        raise ValueError(f"{where} are none that a fit can have")
    return settings


def _part(
    data: Any,
    where: str,
    settings: Settings,
    summary: Summary,
    features: tuple[str, ...],
    terms: Mapping[str, Sequence[int]],
) -> tuple[Route, Posterior]:
    """Make route and posterior of one response."""
    priors, draws, stats, tune, entropy, seconds, diagnostics, z_scores, *chains = fields(
        data,
        where,
        priors=dict,
        draws=dict,
        stats=dict,
        tune=int,
        entropy=(int, list),
        seconds=float,
        diagnostics=dict,
        z_scores=(np.ndarray, _NONE),
        positions=np.ndarray,
        step_sizes=np.ndarray,
        generators=list,
        map=(dict, _NONE),
    )
    prior_set = prior_data.restore_set(priors, len(features), summary.intercept, f"the priors of {where}")
    try:
        route = Route(summary, prior_set)
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"{where} has priors and rows without a posterior ({error})") from None
    _set_chains(route, chains, settings, where)
    shape = settings.chains, settings.draws
    sparse = prior_set.sparse
    hyper = {} if sparse is None else dict.fromkeys(sparse.hyper, (*shape, *sparse.hyper_shape))
    k = len(features) + summary.intercept + 1 + sum(int(np.prod(own[2:])) for own in hyper.values())
    words = entropy if isinstance(entropy, list) else [entropy]
    if tune < 0 or not 0.0 <= seconds < np.inf or any(type(word) is not int or word < 0 for word in words):
        raise ValueError(f"{where} must have no negative numbers of draws, seconds or seeds")
    if (z_scores is None) != (route.exact is None):
        raise ValueError(f"{where} must have z-scores if its moments are exact, and else none")
    if z_scores is not None:
        array(z_scores, f"the z-scores of {where}", (k,), finite=False)
    columns = fields(diagnostics, f"the diagnostics of {where}", **dict.fromkeys(DIAGNOSTICS, np.ndarray))
    for values in columns:
        array(values, f"the diagnostics of {where}", (k,), finite=False)
        if np.any(values < 0.0):
            raise ValueError(f"the diagnostics of {where} must not be negative")
    posterior = Posterior(
        draws=_draws(draws, shape, len(features), summary.intercept, hyper, where),
        stats=restore_stats(stats, shape, settings, where),
        features=features,
        how=route.how,
        settings=settings,
        tune=tune,
        entropy=entropy,
        seconds=seconds,
        prior_set=prior_set,
        n_rows=summary.n_rows,
        weight=summary.weight,
        diagnostics=Diagnostics(*columns),
        exact=route.exact,
        z_scores=z_scores,
        labels=prior_set.labels_of_scales(terms),
    )
    return route, posterior


def _draws(
    data: Mapping[str, Any],
    shape: tuple[int, int],
    p: int,
    intercept: bool,
    hyper: dict[str, tuple[int, ...]],
    where: str,
) -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {"Intercept": shape} if intercept else {}
    shapes |= {"coef": (*shape, p), "sigma": shape, **hyper}
    fields(data, f"the draws of {where}", **dict.fromkeys(shapes, np.ndarray))
    draws = {name: array(data[name], f"the draws of {name} of {where}", shapes[name]) for name in shapes}
    if not np.all((draws["sigma"] > 0.0) & (draws["sigma"] < LARGEST_SIGMA)):
        raise ValueError(
            f"the draws of sigma of {where} must be positive, and squares of them must be doubles"
        )
    return draws


def stats_data(stats: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the sampler's statistics in the types that take few bytes."""
    return {
        name: values.astype(_STATS[name][1]) if name in _STATS else values for name, values in stats.items()
    }


def restore_stats(
    data: Mapping[str, Any], shape: tuple[int, int], settings: Settings, where: str
) -> dict[str, np.ndarray]:
    """Return the sampler's statistics, of the shapes and types that they must have."""
    fields(data, f"the statistics of {where}", **dict.fromkeys(STAT_NAMES, np.ndarray))
    stats = {}
    for name in STAT_NAMES:
        kept, stored = _STATS.get(name, ("float64", "float64"))
        found = array(data[name], f"the {name} of {where}", shape, stored, finite=False)
        stats[name] = found.astype(kept, copy=False)
    depth, steps = stats["tree_depth"], stats["n_steps"]
    if np.any(depth > settings.max_treedepth) or np.any(steps < 0) or np.any(steps >= 2 ** (depth + 1)):
        raise ValueError(f"the trajectories of {where} must be of a length that their depth allows")
    return stats


def _set_chains(route: Any, data: Sequence[Any], settings: Settings, where: str) -> None:
    """Put the chains of a route where they stopped, and what warm-up learnt around its target."""
    positions, step_sizes, generators, affine = data
    if (affine is None) == isinstance(route.target, AffineTarget):
        raise ValueError(f"{where} must have the map of its warm-up if its priors need one, and else none")
    dim = route.target.dim
    if affine is not None:
        shift, factor = fields(affine, f"the map of {where}", shift=np.ndarray, factor=np.ndarray)
        array(shift, f"the shift of {where}", (dim,))
        array(factor, f"the factor of {where}", (dim, dim))
        route.target = AffineTarget(route.target.inner, shift, factor)
    array(positions, f"the positions of {where}", (settings.chains, dim))
    array(step_sizes, f"the step sizes of {where}", (settings.chains,))
    if not np.all(step_sizes > 0.0) or len(generators) != settings.chains:
        raise ValueError(f"{where} must have a positive step size and a generator for every chain")
    states = []
    for position, step_size, generator in zip(positions, step_sizes, generators, strict=True):
        bits = generator_data.restore(generator, f"a generator of {where}")
        if not isinstance(bits, np.random.PCG64DXSM):
            raise ValueError(f"the generators of {where} must be of the kind PCG64DXSM")
        states.append(ChainState(position.copy(), float(step_size), bits))
    route._states = states
