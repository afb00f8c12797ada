"""Loading of models that `save` has saved; a file chooses among the package's own estimators, and runs nothing."""

import os
from typing import Any

from bayesglm import archive, model_data
from bayesglm.linear import BayesianLinearRegression

#: All estimators, by the names that stand in files.
ESTIMATORS = {kind.__name__: kind for kind in (BayesianLinearRegression,)}


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
        Gives the same numbers as the one that was saved, and can go on sampling and see more rows. Where it was
        saved on another machine, its BLAS may round the last digit differently.

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
    found = archive.read(path, dict.fromkeys(ESTIMATORS, model_data.VERSION))
    kind = ESTIMATORS[found.kind]
    model = kind.__new__(kind)
    try:
        model_data.restore(model, found.data)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r} cannot be loaded: {error}") from None
    return model
