"""Many coefficients with normal priors, along the directions that the rows see and the axes of the curvature.

Rows say nothing of a direction at right angles to all of them. Where there are more columns than rows most are, and
what a normal prior says there is independent of all else: chains walk in as many dimensions as there are rows, and the
rest is drawn from the prior, exactly. Along the axes of the curvature at the mode a map that standardises the space is
nearly diagonal, so that in hundreds of dimensions a gradient costs the products with the rows and no others.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, qr

from bayesglm.inference.laplace import LaplaceFit
from bayesglm.inference.prior_set import StandardisedPriors
from bayesglm.inference.regression_data import RegressionData
from bayesglm.kernel.design import Design, SparseDesign, make_design
from bayesglm.kernel.priors import Flat, Normal

#: Columns from which on it pays. (With fewer, NUTS learns the whole covariance, and products are short.)
MANY = 64
#: With this many times more rows than columns, the rows are what costs; with several linear predictors, what a map
#: leaves out costs more before. Rows of mostly zeros cost so little that other directions, along which they are not
#: zeros, serve only if they are much fewer.
ROWS_A_COLUMN, ROWS_A_COLUMN_SEVERAL, ROWS_A_COLUMN_SPARSE = 4.0, 2.0, 0.5
#: A curvature this much smaller than the largest is none to divide by.
LEAST = 1e-10


@dataclass(frozen=True)
class Directions:
    """Coefficients as loc + scale * (basis @ v), where v has a standard normal prior, and what no row sees.

    Attributes
    ----------
    loc, scale : ndarray of shape (p,)
        Of the coefficients' normal priors.
    basis : ndarray of shape (p, r)
        Orthonormal columns, whose span holds all rows times ``scale``.
    rows : ndarray of shape (n, r)
        The design along the basis.
    offset : ndarray of shape (n,)
        What ``loc`` adds to the linear predictors.
    shift : ndarray of shape (r,)
        What the intercept's prior speaks of is the intercept less ``shift @ v``.
    level : float
        ... and less this, which is of ``loc``.
    """

    loc: np.ndarray
    scale: np.ndarray
    basis: np.ndarray
    rows: np.ndarray
    offset: np.ndarray
    shift: np.ndarray
    level: float

    def data(self, data: RegressionData) -> RegressionData:
        """Return the same rows along the basis."""
        offset = self.offset if data.offset is None else data.offset + self.offset
        return dataclasses.replace(
            data, design=make_design(self.rows), offset=offset if offset.any() else None
        )

    def priors(self, priors: StandardisedPriors) -> StandardisedPriors:
        """Return the same priors along the basis."""
        r = self.basis.shape[1]
        return dataclasses.replace(
            priors,
            coef=(Normal(0.0, 1.0).bind(np.arange(r)),),
            intercept=None if priors.intercept is None else priors.intercept.transformed(-self.level, 1.0),
            shift=self.shift,
            positive=np.zeros(r, dtype=bool),
        )

    def at_zero(self) -> np.ndarray:
        """Return v, shape (r,), whose linear predictors are those of coefficients that are zero."""
        return np.asarray(-(self.loc / self.scale) @ self.basis)

    def turned(self, turn: np.ndarray) -> Directions:
        """Return the directions ``basis @ turn``, where columns of ``turn`` are orthonormal."""
        return dataclasses.replace(
            self, basis=self.basis @ turn, rows=self.rows @ turn, shift=self.shift @ turn
        )

    def seen(self) -> Directions:
        """Return the axes of the rows along the basis, without those that no row and no prior of the intercept sees."""
        rows = np.vstack([self.rows, self.shift])
        _, values, axes = np.linalg.svd(rows, full_matrices=False)
        axes = axes[values > LEAST * values.max(initial=0.0)].T
        return self.turned(axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]))

    def coefficients(self, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return coefficients, shape (..., p), of draws ``v``, shape (..., r), with what no row sees from the prior."""
        found = v @ self.basis.T
        if self.basis.shape[1] < self.basis.shape[0]:
            free = rng.standard_normal(found.shape)
            found += free
            found -= (free @ self.basis) @ self.basis.T
        return np.asarray(self.loc + self.scale * found)


def normal_directions(
    data: RegressionData, priors: StandardisedPriors, least: int = MANY
) -> Directions | None:
    """Return directions to walk along, or None where they do not serve.

    They serve ``least`` coefficients or more, all with normal priors, of rows that are not many more. An intercept
    with a flat prior is left alone: what the data do not determine is to be told by column.
    """
    design = data.design
    n, p = design.n_rows, design.n_columns
    most = ROWS_A_COLUMN if data.family.n_predictors == 1 else ROWS_A_COLUMN_SEVERAL
    if isinstance(design, SparseDesign):
        most = ROWS_A_COLUMN_SPARSE
    if p < least or n >= most * p:
        return None
    if isinstance(priors.intercept, Flat) or priors.positive.any():
        return None
    loc, scale = np.zeros(p), np.zeros(p)
    for prior in priors.coef:
        index, loc_here, scale_here, _ = prior.bound
        if not isinstance(prior, Normal):
            return None
        loc[index], scale[index] = loc_here, scale_here
    plain = _rows(design)
    rows = plain * scale
    shifted = priors.shift * scale
    basis = np.eye(p)
    # What the intercept's prior speaks of is one more row.
    seen = np.vstack([rows, shifted]) if shifted.any() else rows
    if len(seen) < p:
        basis = qr(seen.T, mode="economic")[0]
    return Directions(
        loc=loc,
        scale=scale,
        basis=basis,
        rows=rows @ basis,
        offset=plain @ loc,
        shift=np.asarray(shifted @ basis),
        level=float(priors.shift @ loc),
    )


def turned_fit(
    fit: LaplaceFit, n_predictors: int, first: int, r: int
) -> tuple[np.ndarray, LaplaceFit] | None:
    """Turn the coefficients of an approximation so that its curvature is diagonal, or nearly so.

    Parameters
    ----------
    fit : LaplaceFit
    n_predictors : int
        Linear predictors, whose coefficients are all turned in the same way.
    first : int
        Coordinates of each before its coefficients: 1 with an intercept.
    r : int
        Coefficients of each.

    Returns
    -------
    (ndarray of shape (r, r), LaplaceFit) or None
        The turn T, old coefficients being T times new ones, and the approximation in the new ones. Its factor is zero
        but for the columns of other coordinates and one entry for each pair of linear predictors: of what
        curvature several of them leave across directions it knows nothing. None if it is no normal approximation.
    """
    matrix, K, width = fit.curvature, n_predictors, first + r
    # Coefficients of one direction side by side.
    here = np.add.outer(first + np.arange(r), width * np.arange(K)).ravel()
    rest = np.setdiff1d(np.arange(len(matrix)), here)
    blocks = matrix[np.ix_(here, here)].reshape(r, K, r, K)
    turn = eigh(np.einsum("ikjk->ij", blocks))[1]
    # Signs of eigenvectors are anybody's choice: the largest entry is positive.
    turn = turn * np.sign(turn[np.abs(turn).argmax(axis=0), np.arange(r)])
    whole = np.kron(turn, np.eye(K))
    inner, across = whole.T @ matrix[np.ix_(here, here)] @ whole, whole.T @ matrix[np.ix_(here, rest)]
    pairs = inner.reshape(r, K, r, K)[np.arange(r), :, np.arange(r)]
    values, vectors = np.linalg.eigh(pairs)
    if not values.min() > LEAST * values.max():
        return None
    solved = np.linalg.solve(inner, across)
    of_rest, others = np.linalg.eigh(matrix[np.ix_(rest, rest)] - across.T @ solved)
    if len(rest) and not of_rest[0] > LEAST * of_rest[-1]:
        return None
    mode, curvature, factor = fit.mode.copy(), matrix.copy(), np.zeros_like(matrix)
    mode[here] = whole.T @ fit.mode[here]
    curvature[np.ix_(here, here)] = inner
    curvature[np.ix_(here, rest)] = across
    curvature[np.ix_(rest, here)] = across.T
    for direction, pair in zip(here.reshape(r, K), vectors / np.sqrt(values)[:, np.newaxis], strict=True):
        factor[np.ix_(direction, direction)] = pair
    root = others / np.sqrt(of_rest)
    factor[np.ix_(rest, rest)] = root
    factor[np.ix_(here, rest)] = -solved @ root
    return turn, LaplaceFit(mode, factor, curvature, fit.decrement, np.zeros((len(matrix), 0)))


def _rows(design: Design) -> np.ndarray:
    """Return the design's rows, shape (n, p)."""
    return np.concatenate([design.block(b) for b in range(design.n_blocks)])
