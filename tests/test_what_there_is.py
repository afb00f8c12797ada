"""What docs/what-there-is.md calls "here" exists, and the families it says are not there are refused."""

import inspect
import re
from pathlib import Path

import pytest

import bayesglm
from bayesglm import BayesianGLM

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "what-there-is.md").read_text(encoding="utf-8")
CELLS = [re.split(r"(?<!\\)\|", line)[2] for line in PAGE.splitlines() if line.startswith("| ")]
CODE = [code for cell in CELLS for code in re.findall(r"`([^`]+)`", cell)]
ESTIMATORS = [value for name, value in vars(bayesglm).items() if name.startswith("Bayesian")]
PUBLIC = {name for estimator in ESTIMATORS for name in dir(estimator) if not name.startswith("_")}
ARGUMENTS = {
    argument
    for function in [
        *ESTIMATORS,
        *(getattr(e, name) for e in ESTIMATORS for name in PUBLIC if hasattr(e, name)),
    ]
    if callable(function)
    for argument in inspect.signature(function).parameters
}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"(?<![\w.])(\w+)=", " ".join(CODE)))))
def test_arguments_are_those_of_an_estimator_or_its_methods(name):
    assert name in ARGUMENTS | {"scoring"}  # scikit-learn's


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\bbayesglm\.([\w.]+)", " ".join(CODE)))))
def test_paths_lead_somewhere(name):
    found = bayesglm
    for part in name.split("."):
        found = getattr(found, part)


@pytest.mark.parametrize(
    "name",
    sorted(
        {m for code in CODE for m in re.findall(r"^(\w+)\(|(?<![\w.])(Bayesian\w+)", code) for m in m if m}
    ),
)
def test_functions_are_public(name):
    elsewhere = {"cross_val_score", "bs", "cr", "loo"}  # of scikit-learn, patsy, and model_selection
    assert name in PUBLIC | set(bayesglm.__all__) | elsewhere


@pytest.mark.parametrize(
    "family", ["ordinal", "cumulative", "zip", "hurdle", "weibull", "lognormal", "tweedie"]
)
def test_families_that_are_not_there_are_refused(family):
    with pytest.raises(ValueError, match="family"):
        BayesianGLM(family=family).fit([[0.0], [1.0], [2.0]], [1.0, 2.0, 1.0])
