"""Regressions at the edge of what doubles hold: a table of them, each with its posterior's oracle or its error.

`CASES` maps names to functions that make a `Case`; `tests.acceptance.extreme_errors` measures how far a fit is off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from bayesglm import Normal
from tests.acceptance.exact_posterior import exponential, flat, half_normal
from tests.acceptance.extreme_case import CASES, Case, case, correlated, data

__all__ = ["CASES"]

# -- scales and offsets of columns -------------------------------------------------------------------------------

for scale in (1e-12, 1e-6, 1e6, 1e12):
    case(f"column scale: {scale:g}")(lambda scale=scale: Case(*data(scale=scale)))
case("column scale: 1e-12, 1 and 1e12 in one design")(lambda: Case(*data(scale=[1e-12, 1.0, 1e12])))
case("column scale: 1e-12 and 1e12, offset of 1e3 scales")(
    lambda: Case(*data(scale=[1e-12, 1.0, 1e12], offset=[1e-9, 1e3, 1e15]))
)
case("column scale: 1e-12 and 1e12, no intercept")(
    lambda: Case(
        *data(scale=[1e-12, 1.0, 1e12]), settings={"fit_intercept": False}, model={"fit_intercept": False}
    )
)
case("column scale: 1e-12 and 1e12, flat priors")(
    lambda: Case(
        *data(scale=[1e-12, 1.0, 1e12]),
        settings={"prior": "flat", "intercept_prior": "flat", "sigma_prior": "flat"},
        model={"coef": None, "intercept": None, "sigma": flat},
    )
)

#: Of a constant column beside an intercept.
INTERCEPT = "says the same as the intercept"

for offset in (1e3, 1e6, 1e9, 1e12, -1e12):
    case(f"column offset: {offset:g}")(lambda offset=offset: Case(*data(offset=offset)))
for scale, offset in ((1e-12, 1e-3), (1e-6, 1e3), (1e-3, 1e12), (1e12, 1e12), (1.0, 1e15)):
    case(f"column offset: {offset:g}, scale {scale:g}")(
        lambda scale=scale, offset=offset: Case(*data(scale=scale, offset=offset, noise=3.0))
    )
case("column offset: 0, 1e6 and 1e12 in one design")(lambda: Case(*data(offset=[0.0, 1e6, 1e12])))
case("column offset: 1e12, scale 1e-12, which is constant")(
    lambda: Case(*data(scale=[1.0, 1e-12, 1.0], offset=[0.0, 1e12, 0.0]), warns=(INTERCEPT,))
)
case("column offset: 1e12, no intercept")(
    lambda: Case(
        *data(offset=[0.0, 1e12, 0.0]), settings={"fit_intercept": False}, model={"fit_intercept": False}
    )
)
case("column offset: 1e12, prior at zero")(
    lambda: Case(
        *data(offset=[0.0, 1e6, 1e12]),
        settings={"center": False, "intercept_prior": Normal(0, 1e13)},
        model={"center": False, "intercept": (0, 1e13)},
    )
)

# -- correlations --------------------------------------------------------------------------------------------------

for digits in (4, 8, 10, 12):
    case(f"correlation: 1 - 1e-{digits}")(lambda digits=digits: Case(*correlated(10.0**-digits)))
    case(f"correlation: 1 - 1e-{digits}, offset 1e4, little noise")(
        lambda digits=digits: Case(*correlated(10.0**-digits, offset=1e4, noise=1e-4))
    )


@case("correlation: 1 - 1e-12, scales 1e-12 and 1e12")
def _() -> Case:
    X, y = correlated(1e-12)
    return Case(X * [1e-12, 1e12, 1.0], y)


@case("correlation: 1 - 1e-12, flat priors")
def _() -> Case:
    return Case(
        *correlated(1e-12),
        settings={"prior": "flat", "intercept_prior": "flat"},
        model={"coef": None, "intercept": None},
    )


@case("correlation: 1 - 1e-10 beside a column of offset 1e12")
def _() -> Case:
    # y does not vary with the third column, of which rounding leaves 1e-4.
    X, y = correlated(1e-10, noise=1e-5)
    return Case(X + np.array([0.0, 0.0, 1e12]), y + X[:, 2])


@case("correlation: 1 - 1e-12 at offset 1e12")
def _() -> Case:
    # Of what tells the columns apart rounding leaves noise: they may be taken for equal.
    X, y = correlated(1e-12, offset=[1e12, 1e12, 0.0])
    return Case(X, y, nearby=np.column_stack([X[:, 0], X[:, 0], X[:, 2]]))


# -- y -------------------------------------------------------------------------------------------------------------

for unit in (1e-150, 1e-140, 1e-100, 1e-20, 1e20, 1e100, 1e140, 1e150):
    case(f"y: scale {unit:g}")(lambda unit=unit: Case(*data(unit=unit)))
case("y: scale 1e150, columns 1e-3")(lambda: Case(*data(unit=1e150, scale=1e-3)))
case("y: scale 1e-150, columns 1e3")(lambda: Case(*data(unit=1e-150, scale=1e3)))
case("y: scale 1e150, columns 1e12")(lambda: Case(*data(unit=1e150, scale=1e12)))
case("y: scale 1e-150, columns 1e-12")(lambda: Case(*data(unit=1e-150, scale=1e-12)))
case("y: scale 1e140, columns 1e-12")(lambda: Case(*data(unit=1e140, scale=1e-12)))
case("y: scale 1e150, columns 1e-12")(lambda: Case(*data(unit=1e150, scale=1e-12), error="divide"))
case("y: scale 1e-150, columns 1e12")(lambda: Case(*data(unit=1e-150, scale=1e12), error="divide"))
case("y: scale 1e-170")(lambda: Case(*data(unit=1e-170), error="divide"))
case("y: scale 1e170")(lambda: Case(*data(unit=1e170), error="divide"))
case("y: scale 1e300")(lambda: Case(*data(unit=1e300), error="divide"))
case("y: subnormal")(lambda: Case(*data(unit=1e-312), error="divide"))


@case("y: largest doubles of both signs")
def _() -> Case:
    X, y = data()
    return Case(X, np.sign(y) * 1.7e308, error="divide")


@case("y: offset 1e12")
def _() -> Case:
    X, y = data()
    return Case(X, y + 1e12)


@case("y: 1e-150 and 1 among 1e150")
def _() -> Case:
    X, y = data(unit=1e149)
    y[3], y[5], y[7] = 1e-150, 1.0, 0.0
    return Case(X, y)


@case("y: integers near 2^53")
def _() -> Case:
    X, y = data()
    return Case(X, 2.0**53 - 100 + np.rint(10 * y))


@case("y: 1e-120 behind forty thousand zeros")
def _() -> Case:
    X, y = data(n=41_000, p=1, unit=1e-120)
    y[:40_000] = 0.0
    return Case(X, y)


@case("y: constant in all rows but one")
def _() -> Case:
    X, y = data()
    y[:] = 3.0
    y[7] = 3.0 + 1e-6
    return Case(X, y)


# -- columns near overflow -----------------------------------------------------------------------------------------

for scale in (1e-150, 1e-140, 1e140, 1e150):
    case(f"column near overflow: {scale:g}")(lambda scale=scale: Case(*data(scale=[1.0, scale, 1.0])))
for scale in (1e-300, 1e300, 1e-310):
    case(f"column near overflow: {scale:g}")(
        lambda scale=scale: Case(*data(scale=[1.0, scale, 1.0]), error="divide")
    )


@case("column near overflow: 1e-120 behind forty thousand zeros")
def _() -> Case:
    X, y = data(n=41_000, p=2)
    X[:40_000, 1] = 0.0
    X[:, 1] *= 1e-120
    return Case(X, y)


@case("column near overflow: integers near 2^53")
def _() -> Case:
    X, y = data()
    return Case(np.rint(10 * X) + np.array([0.0, 2.0**53 - 100, 0.0]), y)


# -- rows and columns ----------------------------------------------------------------------------------------------

SINGLE = "single row"
for p in (1, 5):
    case(f"rows: 1, columns {p}")(lambda p=p: Case(*data(n=1, p=p), warns=(SINGLE,)))
case("rows: 1, columns 0")(lambda: Case(*data(n=1, p=0), given=pd.DataFrame(index=range(1)), warns=(SINGLE,)))
case("rows: 1, column of 1e12, y 1e-6")(lambda: Case(np.array([[1e12]]), np.array([1e-6]), warns=(SINGLE,)))
case("rows: 2, columns 1")(lambda: Case(*data(n=2, p=1)))
case("rows: 2, columns 5")(lambda: Case(*data(n=2, p=5)))
case("rows: 3, columns 2")(lambda: Case(*data(n=3, p=2)))
case("rows: 30, columns 0")(lambda: Case(*data(n=30, p=0), given=pd.DataFrame(index=range(30))))
MORE = {"draws": 1000}
case("rows: 8, columns 20, scales 1e-12 to 1e12")(
    lambda: Case(*data(n=8, p=20, scale=10.0 ** np.linspace(-12, 12, 20)), settings=MORE)
)
case("rows: 10000, columns 5, offset 1e9")(lambda: Case(*data(n=10_000, p=5, offset=1e9)))
case("rows: 1000000, columns 3")(
    lambda: Case(*data(n=1_000_000, p=3, scale=[1e-3, 1.0, 1e3], offset=[0, 100.0, 0]))
)


# -- weights -------------------------------------------------------------------------------------------------------


def weighted(low: float, high: float, **settings: Any) -> Case:
    """Return weights spread evenly over a logarithmic scale."""
    X, y = data(n=60)
    return Case(X, y, np.random.default_rng(3).permutation(np.geomspace(low, high, 60)), **settings)


case("weights: 1e-12 to 1e12")(lambda: weighted(1e-12, 1e12))
case("weights: 1e-6 to 1e6")(lambda: weighted(1e-6, 1e6))
case("weights: 1e12 each")(lambda: weighted(1e12, 1e12))
case("weights: sum 0.6")(lambda: weighted(0.01, 0.01))
case("weights: sum 6e-11")(lambda: weighted(1e-12, 1e-12))
case("weights: sum too small")(lambda: weighted(1e-15, 1e-15, error="sample_weight sums to"))
case("weights: sum too large")(lambda: weighted(1e14, 1e14, error="sample_weight sums to"))
case("weights: all zero")(lambda: Case(*data(), np.zeros(40), error="zero"))
for low, high in ((1e-12, 1e12), (1e12, 1e12), (1e-6, 1.0)):
    case(f"weights: precisions {low:g} to {high:g}")(
        lambda low=low, high=high: weighted(
            low, high, settings={"weights_type": "precision"}, model={"precision": True}
        )
    )


@case("weights: zero where data are wild")
def _() -> Case:
    X, y = data()
    w = np.ones(40)
    X[5:8], y[5:8], w[5:8] = 1e150, -1e150, 0.0
    return Case(X, y, w)


@case("weights: zero but for one row")
def _() -> Case:
    X, y = data()
    return Case(X, y, (np.arange(40) == 7).astype(float), warns=(SINGLE,))


@case("weights: 1e12 on one row, offset 1e9")
def _() -> Case:
    X, y = data(offset=1e9)
    w = np.ones(40)
    w[3] = 1e12
    return Case(X, y, w)


# -- rank ----------------------------------------------------------------------------------------------------------


def joined(factor: Any, **settings: Any) -> Case:
    """Return three columns, and one that is a combination of them."""
    X, y = data()
    return Case(np.column_stack([X, X @ np.asarray(factor)]), y, **settings)


case("rank: a column twice")(lambda: joined([1.0, 0.0, 0.0]))
case("rank: a column twice, 2^80 as large")(lambda: joined([2.0**80, 0.0, 0.0]))
case("rank: a column twice, flat prior")(
    lambda: joined([1.0, 0.0, 0.0], settings={"prior": "flat"}, error="collinear")
)
case("rank: constant column, flat prior")(
    lambda: Case(*data(scale=[1.0, 0.0, 1.0], offset=3.0), settings={"prior": "flat"}, error="constant")
)
case("rank: constant column")(lambda: Case(*data(scale=[1.0, 0.0, 1.0], offset=3.0), warns=(INTERCEPT,)))
case("rank: constant column of 1e12")(
    lambda: Case(*data(scale=[1.0, 0.0, 1.0], offset=[0.0, 1e12, 0.0]), warns=(INTERCEPT,))
)
case("rank: column of zeros")(lambda: Case(*data(scale=[1.0, 0.0, 1.0])))


@case("rank: a sum of integer columns")
def _() -> Case:
    X, y = data()
    X = np.rint(X * 1000)
    return Case(np.column_stack([X, X.sum(axis=1)]), y)


@case("rank: one distinct row of X")
def _() -> Case:
    X, y = data()
    return Case(np.tile(X[:1], (40, 1)), y, warns=(INTERCEPT,))


@case("rank: one distinct row of X, offset 1e12 and scale 1e-12")
def _() -> Case:
    X, y = data(offset=[1e12, 0.0, 0.0], scale=[1.0, 1e-12, 1.0])
    return Case(np.tile(X[:1], (40, 1)), y, warns=(INTERCEPT,))


# -- perfect fits --------------------------------------------------------------------------------------------------

PERFECT = "fitted to rounding error"


def exact(coef: Any, level: float = 0.0, **changes: Any) -> Case:
    """Return a case whose y is a line, rounded."""
    X, _ = data(**changes)
    return Case(X, level + X @ np.asarray(coef), perfect=True, warns=(PERFECT,))


case("perfect fit: three columns")(lambda: exact([1.0, 2.0, 3.0], 1.0))
case("perfect fit: offset 1e9")(lambda: exact([1.0, 2.0, 3.0], 1.0, offset=1e9))
case("perfect fit: scales 1e-12 and 1e12")(lambda: exact([1e12, 1.0, 1e-12], 1.0, scale=[1e-12, 1.0, 1e12]))
case("perfect fit: y of 1e150")(lambda: exact([1e150, 1e150, 0.0], 1.0))
case("perfect fit: y of 1e-150")(lambda: exact([1e-150, 1e-150, 0.0], 0.0))
case("perfect fit: one column in units of 2")(lambda: exact([2.0], 0.0, p=1))


@case("perfect fit: weights 1e-12 to 1e12")
def _() -> Case:
    found = exact([1.0, 2.0, 3.0], 1.0)
    found.weights = np.random.default_rng(3).permutation(np.geomspace(1e-12, 1e12, 40))
    return found


@case("perfect fit: zero weights where it is none")
def _() -> Case:
    found = exact([1.0, 2.0, 3.0], 1.0)
    found.weights = np.ones(40)
    found.y[:5], found.weights[:5] = 1e6, 0.0
    return found


for level in (1e150, 1e-150):
    case(f"perfect fit: constant y {level:g}")(
        lambda level=level: Case(data()[0], np.full(40, level), error="divide y")
    )
    case(f"perfect fit: constant y {level:g}, priors of its scale")(
        lambda level=level: Case(
            data()[0],
            np.full(40, level),
            settings={"prior": Normal(0, level), "intercept_prior": Normal(0, level)},
            perfect=True,
            warns=("y is constant",),
        )
    )
for level in (3.0, 0.0, 1e12, 1e40):
    case(f"perfect fit: constant y {level:g}")(
        lambda level=level: Case(data()[0], np.full(40, level), perfect=True, warns=("y is constant",))
    )
case("perfect fit: one distinct row")(
    lambda: Case(
        np.tile(data()[0][:1], (40, 1)), np.full(40, 3.0), perfect=True, warns=("y is constant", INTERCEPT)
    )
)
for noise in (1e-6, 1e-9, 1e-12):
    case(f"nearly perfect fit: noise {noise:g}")(lambda noise=noise: Case(*data(noise=noise)))
case("nearly perfect fit: noise 1e-3, offset 1e9")(lambda: Case(*data(noise=1e-3, offset=1e9)))


# -- other priors of sigma, and other containers -------------------------------------------------------------------

for name, density in (("half_normal", half_normal), ("exponential", exponential)):
    case(f"sigma's prior: {name}, scales 1e-12 and 1e12, y 1e100")(
        lambda name=name, density=density: Case(
            *data(n=8, scale=[1e-12, 1.0, 1e12], unit=1e100),
            settings={"sigma_prior": name},
            model={"sigma": density},
        )
    )


@case("container: sparse, scales 1e-12 and 1e12")
def _() -> Case:
    X, y = data(n=200, scale=[1e-12, 1.0, 1e12])
    X[np.random.default_rng(5).random(X.shape) < 0.7] = 0.0
    return Case(X, y, given=sparse.csr_array(X))


@case("container: sparse, behind zeros")
def _() -> Case:
    X, y = data(n=41_000, p=2)
    X[:40_000, 1] = 0.0
    X[:, 1] *= 1e-120
    return Case(X, y, given=sparse.csc_array(X))


@case("container: float32, offset 1e6")
def _() -> Case:
    X, y = data(offset=[0.0, 1e6, -1e6])
    X = X.astype(np.float32)
    return Case(X.astype(float), y, given=X)


@case("container: formula, scales 1e-12 and 1e12")
def _() -> Case:
    X, y = data(scale=[1e-12, 1.0, 1e12], offset=[0.0, 1e6, 0.0])
    return Case(X, y, given=pd.DataFrame(X, columns=list("abc")), settings={"formula": "a + b + c"})
