"""Loading of models that `save` has saved; a file chooses among the package's own estimators, and runs nothing."""

import os
from typing import Any

from bayesglm import archive
from bayesglm.classification import BayesianLogisticRegression
from bayesglm.glm import BayesianGLM
from bayesglm.linear import BayesianLinearRegression
from bayesglm.regressors import (
    BayesianGammaRegressor,
    BayesianNegativeBinomialRegressor,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
)
from bayesglm.saving import Saving

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


def load(path: str | os.PathLike[str]) -> Any:
    """Load a model from a file that its method ``save`` has written.

    No code of the file is run, nothing is imported by a name in it, and it cannot ask for more memory than a few
    times its own size, so a file from a stranger does no harm. What is not a saved model is refused.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    estimator
        Gives the same numbers as the one that was saved. A linear regression can go on sampling and see more rows;
        other models need their rows for that, which no file holds. Where it was saved on another machine, its BLAS
        may round the last digit differently.

    Raises
    ------
    ValueError
        In one sentence, if the file is damaged, no saved model, or saved by a newer version.
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
    found = archive.read(path, {name: kind._data.VERSION for name, kind in ESTIMATORS.items()})
    kind = ESTIMATORS[found.kind]
    model = kind.__new__(kind)
    try:
        kind._data.restore(model, found.data)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r} cannot be loaded: {error}") from None
    return model
