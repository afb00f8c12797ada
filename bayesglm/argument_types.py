"""Types of the estimators' arguments, for editors and type checkers: what `fit` and the constructors take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from bayesglm.kernel.priors import Prior

#: A prior, or the name of one.
PriorLike: TypeAlias = Prior | str
#: Of all coefficients, or by column or term.
CoefficientPriors: TypeAlias = Prior | str | Mapping[str, Prior | str]
RandomState: TypeAlias = int | np.random.RandomState | np.random.Generator
#: An array, a pandas or polars frame (which have ``__array__``), a sparse matrix, or columns by name.
MatrixLike: TypeAlias = ArrayLike | sparse.sparray | sparse.spmatrix | Mapping[str, ArrayLike]
