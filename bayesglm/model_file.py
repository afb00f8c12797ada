"""Loading of models that `save` has saved; a file chooses among the package's own estimators, and runs nothing."""

import os
from typing import Any

from bayesglm import archive
from bayesglm.classification import BayesianLogisticRegression
from bayesglm.formula_language import TooManyTermsError, parse
from bayesglm.formula_strict import MOST_TERMS, check_length, check_strict
from bayesglm.glm import BayesianGLM
from bayesglm.linear import BayesianLinearRegression
from bayesglm.regressors import (
    BayesianGammaRegressor,
    BayesianNegativeBinomialRegressor,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
)
from bayesglm.saving import Saving
from bayesglm.validation import check_bool

_REMEDY = "load(path, strict=False) takes it, if you trust whoever wrote it"

#: All estimators, by the names that stand in files.
ESTIMATORS: dict[str, type[Saving]] = {
    kind.__name__: kind
    for kind in (
        BayesianLinearRegression,
        BayesianGLM,
        BayesianLogisticRegression,
        BayesianPoissonRegressor,
        BayesianNegativeBinomialRegressor,
        BayesianGammaRegressor,
        BayesianRobustRegression,
    )
}


def load(path: str | os.PathLike[str], strict: bool = True) -> Any:
    """Load a model from a file that its method ``save`` has written.

    No code of the file is run, nothing is imported by a name in it, and it cannot ask for more memory than a few
    times its own size, so a file from a stranger does no harm. What is not a saved model is refused.

    Parameters
    ----------
    path : str or path-like
    strict : bool, default True
        Refuse a file whose formula is more than columns, numbers, texts, operators and known functions, since its code
        would run when the model predicts. ``False`` judges it as at fit, for files of people whom you trust.

    Returns
    -------
    estimator
        Gives the same numbers as the one that was saved. A linear regression can go on sampling and see more rows;
        other models need their rows for that, which no file holds. Where it was saved on another machine, its BLAS
        may round the last digit differently.

    Raises
    ------
    ValueError
        In one sentence, if the file is damaged, no saved model, saved by a newer version, or has a formula that
        strict mode does not take.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import bayesglm, numpy, os, tempfile
    >>> rng = numpy.random.default_rng(0)
    >>> X, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    >>> model = bayesglm.BayesianLinearRegression(random_state=0).fit(X, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.bayesglm")
    >>> model.save(path)
    >>> bool((bayesglm.load(path).predict(X) == model.predict(X)).all())
    True
    """
    strict = check_bool(strict, "strict")
    try:
        found = archive.read(path, {name: kind._data.VERSION for name, kind in ESTIMATORS.items()})
    except FileNotFoundError as error:
        raise FileNotFoundError(
            error.errno, "There is no such file: give the path of one that save has written", os.fspath(path)
        ) from None
    kind = ESTIMATORS[found.kind]
    model = kind.__new__(kind)
    try:
        kind._data.restore(model, found.data)
        if strict:
            _check_formula(model)
    except (ValueError, TypeError, ArithmeticError) as error:
        reason = (
            str(error) if isinstance(error, ValueError) else f"it holds what is of another kind ({error})"
        )
        raise ValueError(f"{os.fspath(path)!r} cannot be loaded: {_in_one_line(reason)}") from None
    return model


def _in_one_line(text: str) -> str:
    """A message without line breaks, and without the middle of what a file may have put into it."""
    line = " ".join(part.strip() for part in text.splitlines())
    return line if len(line) <= 1500 else f"{line[:700]} ... {line[-700:]}"


def _check_formula(model: Any) -> None:
    """Refuse a model whose formula is none that strict mode takes; so far nothing of it was evaluated."""
    design = getattr(model, "_design", None)
    if design is not None:
        design.check_strict(_REMEDY)
    elif isinstance(model.formula, str):
        check_length(model.formula, _REMEDY)
        try:
            parsed = parse(model.formula, again=True, most_terms=MOST_TERMS)
        except TooManyTermsError:
            raise
        except ValueError:
            return  # no fit can read it either
        codes = [[factor.code for factor in term.factors] for term in parsed.right]
        codes += [] if parsed.left is None else [[parsed.left.code]]
        check_strict(codes, model.formula, None, model.formula_namespace or {}, _REMEDY)
