"""Contrasts: K linear predictors from K - 1 sets of coefficients, since the same added to all of them says nothing.

Coefficients of K classes matter up to what they have in common. Two codings fix that. Against a reference, the
coefficients of one class are zero and those of the others are log odds ratios against it. Or they add up to zero over
the classes: then each class is treated as all the others are, and K - 1 orthonormal contrasts carry them exactly:
independent normal contrasts of scale s/√2 are normal coefficients of which any two classes differ by N(0, s²).
"""

from __future__ import annotations

import numpy as np

#: Scale of a contrast over the scale of the difference of two classes.
OF_DIFFERENCE = float(np.sqrt(0.5))


def contrasts(n_classes: int, reference: int | None = None) -> np.ndarray:
    """Return the matrix that makes linear predictors from sets, shape (n_classes, n_classes - 1).

    Parameters
    ----------
    n_classes : int
    reference : int, optional
        Class whose linear predictor is zero. None: linear predictors add up to zero, and columns are orthonormal. They
        are those of the reflection that takes the last class to what all classes have in common, so that each of the
        others has a contrast that is nearly its own.
    """
    if reference is not None:
        return np.delete(np.eye(n_classes), reference, axis=1)
    root = np.sqrt(float(n_classes))
    found = np.eye(n_classes)[:, :-1]
    found[:-1] -= 1.0 / (n_classes - root)
    found[-1] = 1.0 / root
    return found


def sets(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the sets, shape (K - 1, ...), that make linear predictors like ``values``, shape (K, ...).

    They differ from ``values`` by what all classes have in common.
    """
    unused = np.flatnonzero(~matrix.any(axis=1))
    own = values - values[unused[0]] if unused.size else values
    return np.asarray(matrix.T @ own)
