"""The likelihoods, public names: how a response is distributed given its linear predictor."""

from __future__ import annotations

import difflib
from typing import Any

from bayesglm.kernel.binary import Bernoulli, Binomial
from bayesglm.kernel.categorical import Categorical
from bayesglm.kernel.continuous import Gaussian, Laplace, StudentT
from bayesglm.kernel.counts import NegativeBinomial, Poisson
from bayesglm.kernel.family import Family
from bayesglm.kernel.positive import Beta, Gamma, InverseGaussian
from bayesglm.plain_data import fields

__all__ = [
    "FAMILIES",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Family",
    "Gamma",
    "Gaussian",
    "InverseGaussian",
    "Laplace",
    "NegativeBinomial",
    "Poisson",
    "StudentT",
    "describe_family",
    "resolve_family",
    "restore_family",
]

#: Families by the names that ``family="..."`` takes.
FAMILIES: dict[str, type[Family]] = {
    "gaussian": Gaussian,
    "student_t": StudentT,
    "laplace": Laplace,
    "bernoulli": Bernoulli,
    "binomial": Binomial,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "gamma": Gamma,
    "inverse_gaussian": InverseGaussian,
    "beta": Beta,
}

_COUNTS = "zero inflation and hurdles do not exist here, 'negative_binomial' takes counts that vary more than Poisson's"
_ORDERED = "ordinal responses do not exist here"
#: What other packages call families, or have and this one has not: lower case, without blanks, dashes, underscores.
_ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(("multinomial", "categorical", "softmax"), "it is BayesianLogisticRegression"),
    **dict.fromkeys(("cumulative", "ordinal", "ordered", "acat", "sratio", "cratio", "polr"), _ORDERED),
    **dict.fromkeys(
        ("zip", "zinb", "zeroinflatedpoisson", "zeroinflatednegativebinomial", "zeroinfl"), _COUNTS
    ),
    **dict.fromkeys(("hurdle", "hurdlepoisson", "hurdlenegativebinomial"), _COUNTS),
    **dict.fromkeys(("normal", "gauss"), "write 'gaussian'"),
    **dict.fromkeys(("t", "student", "studentt"), "write 'student_t'"),
    **dict.fromkeys(("logistic", "logit", "binary"), "write 'bernoulli', or use BayesianLogisticRegression"),
    **dict.fromkeys(("nb", "nb2", "nbinom", "nbinom2", "negbin", "negbinomial"), "write 'negative_binomial'"),
    **dict.fromkeys(("quasipoisson", "quasibinomial", "quasi"), "quasi-likelihoods do not exist here"),
    **dict.fromkeys(("lognormal",), "take BayesianLinearRegression with 'np.log(y) ~ ...'"),
    **dict.fromkeys(("wald", "inversegamma"), "'inverse_gaussian' and 'gamma' are there"),
    **dict.fromkeys(("weibull", "exponential", "cox", "surv"), "models of survival times do not exist here"),
    **dict.fromkeys(
        ("tweedie", "betabinomial", "geometric", "skewnormal", "vonmises"), "it does not exist here"
    ),
    **dict.fromkeys(
        ("asymlaplace", "quantile"), "quantile regression does not exist here, predict_quantiles does"
    ),
}


def describe_family(family: Family) -> dict[str, Any]:
    """Return a family as plain data: its name and parameters."""
    names = {kind: name for name, kind in {**FAMILIES, "categorical": Categorical}.items()}
    if type(family) not in names:
        raise ValueError(
            f"family is of the class {type(family).__name__}, which is not one of bayesglm's and cannot be saved "
            "without its code: pickle the model instead"
        )
    return {"family": names[type(family)], "parameters": family.get_params()}


def restore_family(data: Any, where: str) -> Family:
    """Make a family of what `describe_family` returned, or refuse whatever else was in a file by ValueError."""
    name, parameters = fields(data, where, family=str, parameters=dict)
    kind: type[Family] | None = {**FAMILIES, "categorical": Categorical}.get(name)
    if kind is None:
        raise ValueError(f"{where} must be a family of bayesglm, got {name[:40]!r}")
    fields(parameters, f"the {name} family of {where}", **dict.fromkeys(kind.names, object))
    try:
        found = kind(**parameters)
        found.check()
    except (TypeError, ArithmeticError):
        raise ValueError(f"the {name} family of {where} has a parameter that is no such number") from None
    return found


def resolve_family(family: Any, link: str | None = None) -> Family:
    """Return a family from what the user wrote.

    Parameters
    ----------
    family : str or Family
    link : str, optional
        None: that of the object, or the family's usual one.

    Returns
    -------
    Family
        A copy, which nobody else changes.

    Raises
    ------
    ValueError, TypeError
        In one sentence that names the parameter and what to do.
    """
    if isinstance(family, str):
        if family not in FAMILIES:
            near = difflib.get_close_matches(family.lower().replace(" ", "_"), FAMILIES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(map(repr, FAMILIES))}."
            elsewhere = _ELSEWHERE.get("".join(family.lower().replace("_", " ").replace("-", " ").split()))
            hint = hint if elsewhere is None else f"{elsewhere}."
            raise ValueError(f"family={family!r} is not the name of a family; {hint}")
        found = FAMILIES[family]()
    elif isinstance(family, type) and issubclass(family, Family):
        raise TypeError(
            f"family must be a family, not the class {family.__name__}: write {family.__name__}()."
        )
    elif not isinstance(family, Family):
        raise TypeError(f"family must be a family such as Poisson(), or the name of one; got {family!r}.")
    else:
        found = type(family)(**family.get_params())
    if found.n_predictors > 1:
        raise ValueError(f"family={found!r}: more than two classes are for BayesianLogisticRegression.")
    if link is not None:
        found.set_params(link=link)
    found.check()
    return found
