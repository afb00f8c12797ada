"""What hypothesis feeds the estimators with: every estimator, its parameters and priors, good and odd; whole cases."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

import bayesglm
from bayesglm import families, priors
from tests import fuzz_data, fuzz_frames

#: Few and short chains: what draws are worth is not asked here.
FEW = {"draws": 6, "chains": 2, "tune": 8, "n_jobs": 1, "progressbar": False, "random_state": 0}

#: By name: class, parameters, kind of response, row arguments.
MODELS: dict[str, tuple[type, dict[str, Any], str, tuple[str, ...]]] = {
    "linear": (bayesglm.BayesianLinearRegression, {}, "real", ()),
    "linear, several": (bayesglm.BayesianLinearRegression, {}, "several", ()),
    "linear, precision": (bayesglm.BayesianLinearRegression, {"weights_type": "precision"}, "real", ()),
    "logistic": (bayesglm.BayesianLogisticRegression, {}, "labels", ("offset",)),
    "three classes": (bayesglm.BayesianLogisticRegression, {}, "three", ()),
    "poisson": (bayesglm.BayesianPoissonRegressor, {}, "counts", ("offset", "exposure")),
    "negative binomial": (bayesglm.BayesianNegativeBinomialRegressor, {}, "counts", ("offset", "exposure")),
    "gamma": (bayesglm.BayesianGammaRegressor, {}, "positive", ("offset",)),
    "robust": (bayesglm.BayesianRobustRegression, {}, "real", ("offset",)),
    "glm gaussian": (bayesglm.BayesianGLM, {}, "real", ("offset", "standard_error")),
    "glm student_t": (bayesglm.BayesianGLM, {"family": "student_t"}, "real", ("offset",)),
    "glm laplace": (bayesglm.BayesianGLM, {"family": "laplace"}, "real", ()),
    "glm bernoulli": (bayesglm.BayesianGLM, {"family": "bernoulli", "link": "probit"}, "binary", ("offset",)),
    "glm binomial": (bayesglm.BayesianGLM, {"family": "binomial", "link": "cloglog"}, "binary", ("trials",)),
    "glm inverse_gaussian": (bayesglm.BayesianGLM, {"family": "inverse_gaussian"}, "positive", ("offset",)),
    "glm beta": (bayesglm.BayesianGLM, {"family": "beta"}, "share", ("offset",)),
}


@dataclass
class Case:
    """One thing that somebody might do: a model with parameters, and what its fit is given."""

    name: str
    params: dict[str, Any]
    X: Any
    y: Any
    more: dict[str, Any] = field(default_factory=dict)
    n: int = 0
    before: bool = False
    probes: list[str] = field(default_factory=list)
    seed: int = 0

    def model(self) -> Any:
        kind, params, _, _ = MODELS[self.name]
        return kind(**{**FEW, **params, **self.params})


NUMBERS = st.sampled_from([1.0, 2, 0.5, 1e-3, 1e3, np.float32(2.5), 1e-9, 1e6])
REAL = [priors.Normal, priors.StudentT, priors.Cauchy, priors.Laplace]
POSITIVE = [
    *(priors.HalfNormal, priors.HalfStudentT, priors.HalfCauchy, priors.Exponential, priors.Gamma),
    priors.InverseGamma,
]
NAMED = [
    "flat",
    "normal",
    "laplace",
    "cauchy",
    "student_t",
    "horseshoe",
    "r2d2",
    "rstanarm",
    "bambi",
    "arm",
    "half_normal",
]


@st.composite
def prior_objects(draw: Any, kinds: list[type], p: int, odd: bool) -> Any:
    """A prior of one of the classes, with any of its arguments."""
    kind = draw(st.sampled_from(kinds))
    usable = {
        "loc": lambda: draw(st.sampled_from([0.0, 1, -3.0, np.zeros(p), [0.5] * p])),
        "scale": lambda: draw(st.sampled_from([1.0, 2.5, 1e-3, 1e3, np.ones(p), [0.5] * p])),
        "df": lambda: draw(st.sampled_from([4.0, 1, 30.0, 0.5])),
        "shape": lambda: draw(st.sampled_from([2.0, 1, 0.5, 20.0])),
        "autoscale": lambda: draw(st.booleans()),
        "global_scale": lambda: draw(st.sampled_from([None, 0.1, 1.0])),
        "n_signals": lambda: draw(st.sampled_from([None, 1, 0.5])),
        "slab_df": lambda: draw(st.sampled_from([4.0, 10.0])),
        "slab_scale": lambda: draw(st.sampled_from([2.5, 1.0])),
        "mean": lambda: draw(st.sampled_from([0.5, 0.1, 0.9])),
        "precision": lambda: draw(st.sampled_from([2.0, 5.0])),
        "concentration": lambda: draw(st.sampled_from([0.5, 1.0])),
    }
    names = [name for name in kind.names if name in usable and draw(st.booleans())]
    params = {name: usable[name]() for name in names}
    if odd and kind.names:
        params[draw(st.sampled_from(list(kind.names)))] = draw(
            st.sampled_from(
                [*fuzz_data.SCALARS, np.ones(p + 1), np.full(p, np.nan), -np.ones(p), np.ones((p, 1))]
            )
        )
    return kind(**params)


@st.composite
def coefficient_priors(draw: Any, columns: list[Any], p: int, odd: bool) -> Any:
    """What ``prior`` may be: an object, a name, a mapping of columns to either."""
    everything = [*REAL, priors.Flat, priors.Horseshoe, priors.R2D2]
    way = draw(st.integers(0, 3))
    if way == 0 or not p:
        return draw(st.sampled_from(NAMED))
    if way == 1 and columns:
        chosen = draw(st.lists(st.sampled_from(columns), min_size=1, max_size=3))
        names = st.sampled_from([*NAMED[:5], *([""] if odd else [])])
        found = {
            name: draw(names) if draw(st.booleans()) else draw(prior_objects(REAL, 1, odd)) for name in chosen
        }
        return (
            {**found, draw(fuzz_data.scalars().filter(_hashable)): "normal"}
            if odd and draw(st.booleans())
            else found
        )
    return draw(prior_objects([*everything, *POSITIVE] if odd else everything, p, odd))


def _columns(X: Any) -> list[Any]:
    """Return what the columns of X are called."""
    if hasattr(X, "columns"):
        return list(X.columns)
    try:
        shape = tuple(X.shape if hasattr(X, "shape") else np.shape(X))
    except (ValueError, TypeError):  # ragged, or a type
        return []
    return [f"x{j}" for j in range(shape[1])] if len(shape) == 2 else []


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


@st.composite
def parameters(draw: Any, name: str, columns: list[Any], p: int, odd: bool) -> dict[str, Any]:
    """Parameters of the estimator, some of them other than the defaults."""
    kind, fixed, _, _ = MODELS[name]
    maker = {
        "prior": lambda: draw(coefficient_priors(columns, p, False)),
        "prior_scale": lambda: draw(NUMBERS),
        "intercept_prior": lambda: draw(st.one_of(prior_objects(REAL, 1, False), st.sampled_from(NAMED[:5]))),
        "sigma_prior": lambda: draw(prior_objects(POSITIVE, 1, False)),
        "phi_prior": lambda: draw(prior_objects(POSITIVE, 1, False)),
        "shape_prior": lambda: draw(prior_objects(POSITIVE, 1, False)),
        "df_prior": lambda: draw(prior_objects(POSITIVE, 1, False)),
        "phi": lambda: draw(st.sampled_from([1.0, 10, 0.1])),
        "df": lambda: draw(st.sampled_from([1.0, 4, 30.0])),
        "fit_intercept": lambda: draw(st.booleans()),
        "center": lambda: draw(st.booleans()),
        "positive": lambda: draw(st.booleans()),
        "sampler": lambda: draw(st.sampled_from(["auto", "nuts"])),
        "dtype": lambda: draw(st.sampled_from(["float64", "float32"])),
        "draws": lambda: draw(st.sampled_from([1, 2, 3, 4, 9, np.int8(5), np.uint16(7)])),
        "chains": lambda: draw(st.sampled_from([1, 3, np.int64(2)])),
        "tune": lambda: draw(st.sampled_from([0, 1, 30])),
        "target_accept": lambda: draw(st.sampled_from([0.5, 0.95, 0.01, 0.999, np.float32(0.7)])),
        "max_treedepth": lambda: draw(st.sampled_from([1, 2, 6])),
        "n_jobs": lambda: draw(st.sampled_from([None, 1, 2, -1, -2, 5])),
        "random_state": lambda: draw(st.sampled_from([None, 0, 2**40, 1])),
        "weights_type": lambda: draw(st.sampled_from(["frequency", "precision"])),
        "formula_namespace": lambda: draw(st.sampled_from([None, {}, {"foo": fuzz_data._function}])),
    }
    open_ = [key for key in kind._get_param_names() if key in maker and key not in fixed]
    chosen = draw(st.lists(st.sampled_from(open_), max_size=4, unique=True))
    found = {key: maker[key]() for key in chosen}
    if "prior_scale" in found and draw(st.integers(0, 2)):
        found.pop("prior", None)
    if not odd:
        return found
    every = [key for key in kind._get_param_names() if key != "formula"]
    key = draw(st.sampled_from(every))
    way = draw(st.integers(0, 2))
    if way == 0:
        found[draw(st.sampled_from(["prior", "prior"]))] = draw(coefficient_priors(columns, p, True))
    elif way == 1 and key.endswith("prior"):
        found[key] = draw(
            prior_objects([*REAL, *POSITIVE, priors.Flat, priors.R2D2, priors.Horseshoe], p, True)
        )
    elif key == "family":
        odd_families = [
            families.Poisson(link="x"),
            families.Categorical(3),
            families.NegativeBinomial(phi=-1),
        ]
        found[key] = draw(
            st.sampled_from([*odd_families, families.StudentT(df=np.nan), families.Poisson, "poison"])
        )
    else:
        found[key] = draw(fuzz_data.scalars())
    return found


PROBES = [
    *(
        "moments",
        "quantiles",
        "interval",
        "draws",
        "density",
        "score",
        "summary",
        "posterior",
        "arviz",
        "pickle",
    ),
    *("save", "more", "clone", "scorer", "odd rows", "odd arguments", "merge", "search"),
]


@st.composite
def cases(draw: Any, group: str) -> Case:
    """One case of the group; in about a third of them nothing is odd."""
    name = draw(st.sampled_from(list(MODELS)))
    _, _, kind, brings = MODELS[name]
    odd = draw(st.integers(0, 9)) < 5
    where = draw(st.sampled_from(["X", "X", "y"])) if odd else ""
    params: dict[str, Any] = {}
    more: dict[str, Any] = {}
    if group == "formulas":
        X, n = draw(fuzz_frames.formula_frames(kind, odd=where == "y"))
        params["formula"] = draw(fuzz_frames.formulas(odd=where == "X"))
        y = (
            None
            if "~" in params["formula"].strip()[1:] and kind != "several"
            else draw(fuzz_data.responses(kind, n, False))
        )
        if kind == "several":
            params["formula"] = params["formula"].replace("y ~", "~", 1)
        if draw(st.integers(0, 3)) == 0:
            params.update(draw(parameters(name, ["a", "b", "g", "C(g)"], 0, odd=False)))
        if draw(st.integers(0, 3)) == 0:
            more["sample_weight"] = draw(fuzz_data.weights(n, odd=False))
        if brings and draw(st.integers(0, 3)) == 0:
            more[brings[0]] = draw(st.sampled_from(["a", "n", "zz", "my column", "g"]))
        if name == "glm binomial":
            more.setdefault("trials", "k")
    else:
        odd_X = where == "X" and group in ("arrays", "frames")
        X, n = draw(fuzz_frames.frames(odd_X) if group == "frames" else fuzz_data.designs(odd_X))
        y = draw(fuzz_data.responses(kind, n, odd=where == "y" and group in ("arrays", "frames")))
        columns = _columns(X)
        more = {"sample_weight": draw(fuzz_data.weights(n, odd=where == "X" and group == "weights"))}
        if group == "weights" or name == "glm binomial" or draw(st.integers(0, 4)) == 0:
            more.update(draw(fuzz_data.row_arguments(brings, n, odd=where == "y" and group == "weights")))
        if group == "parameters" or draw(st.integers(0, 4)) == 0:
            params = draw(parameters(name, columns, len(columns), odd=odd and group == "parameters"))
    if name.startswith("linear") or name in ("logistic", "three classes"):
        more = {key: value for key, value in more.items() if key == "sample_weight" or key in brings}
    n_probes = 6 if group == "life" else 3
    probes = draw(
        st.lists(st.sampled_from(PROBES if group != "life" else PROBES[10:]), max_size=n_probes, unique=True)
    )
    return Case(name, params, X, y, more, n, draw(st.integers(0, 4)) == 0, probes, draw(fuzz_data.SEEDS))


GROUPS = ["arrays", "frames", "weights", "parameters", "formulas", "life"]
