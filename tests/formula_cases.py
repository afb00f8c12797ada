"""Formulas of all kinds with a frame to learn them from and another to predict, for tests of saved formulas."""

import re
import warnings

import numpy as np
import pandas as pd

from bayesglm.archive import read, write
from bayesglm.formula import FormulaDesign
from bayesglm.formula_data import from_data, to_data

N = 90


def make_frame(n, seed, narrow=0.0):
    """Columns of all kinds; `narrow` keeps numbers inside the range of others, for splines."""
    rng = np.random.default_rng(seed)
    low, high = 0.1 + narrow, 2.0 - narrow
    x = rng.uniform(low, high, n)
    gaps = x.copy()
    gaps[::7] = np.nan
    return pd.DataFrame(
        {
            "y": rng.uniform(low, high, n),
            "x": x,
            "z": rng.uniform(low, high, n),
            "gaps": gaps,
            "f": rng.uniform(low, high, n).astype(np.float32),
            "g": rng.choice(list("abc"), n),
            "h": rng.choice(["u", "v w", "\u00e9"], n),
            "k": rng.integers(1, 5, n),
            "b": rng.random(n) > 0.5,
            "odd name": rng.uniform(low, high, n),
            "cat": pd.Categorical(rng.choice(["p", "q"], n), categories=["r", "q", "p"]),
            "number": pd.Categorical(rng.choice([3, 1], n), categories=[3, 2, 1]),
            "half": pd.Categorical(rng.choice([0.5, 1.5], n), categories=[0.5, 1.5]),
            "yes": pd.Categorical(rng.choice([True, False], n), categories=[True, False]),
        }
    )


FRAME, NEW = make_frame(N, 1), make_frame(17, 2, narrow=0.3)
ARRAYS = {"knots": [0.5, 1.0], "shift": np.float32(0.1), "levels": ("c", "a", "b"), "w": np.eye(3)[:, :2]}
FORMULAS = [
    "y ~ x",
    "y ~ 1",
    "y ~ x - 1",
    "x + z",
    "~ x + g",
    "y ~ center(x) + center(k) + center(np.float32(f))",
    "y ~ standardize(x) + scale(z, ddof=1) + standardize(k, center=False)",
    "y ~ standardize(np.column_stack([x, z]))",
    "y ~ center(standardize(x) * z)",
    "y ~ bs(x, df=5)",
    "y ~ bs(x, knots=[0.5, 1, 1.5], degree=2, include_intercept=True) - 1",
    "y ~ bs(x, df=4, lower_bound=0, upper_bound=10) + bs(k, df=3, degree=1)",
    "y ~ bs(k, knots=[2, 3], lower_bound=0, upper_bound=9)",
    "y ~ bs(center(x), df=4)",
    "y ~ cr(x, df=4) + cc(z, df=3)",
    "y ~ cr(x, df=4, constraints='center') + cc(z, df=3, constraints='center')",
    "y ~ cr(x, knots=[1], lower_bound=0, upper_bound=3, constraints=[[1, 0, 1]])",
    "y ~ te(cr(x, df=3), cc(z, df=3))",
    "y ~ 0 + cr(x, df=4)",
    "y ~ g*cr(x, df=4)",
    "y ~ te(cr(x, df=3), bs(z, df=4), constraints='center')",
    "y ~ g",
    "y ~ 0 + g",
    "y ~ C(g, Treatment('b')) + C(h, Treatment)",
    "y ~ C(g, Sum) + C(h, Sum('u'))",
    "y ~ C(g, Poly) + C(k, Poly)",
    "y ~ C(g, Helmert) + C(h, Diff)",
    "y ~ 0 + C(g, Helmert) + C(h, Diff)",
    "y ~ C(g, levels=['c', 'b', 'a']) + C(k, levels=[4, 3, 2, 1, 0])",
    "y ~ C(g, [[1.0], [0.5], [0.0]])",
    "y ~ C(k) + C(b) + C(x > 1)",
    "y ~ C(np.where(x > 1, 'many', 'few'))",
    "y ~ g:h",
    "y ~ g*h*x",
    "y ~ g:x + h:bs(z, df=3)",
    "y ~ 0 + g + g:x",
    "y ~ x:z + z:x + (x + g)**2",
    "y ~ I(x + 2*z) + I(x**2) + abs(x - 1)",
    "y ~ Q('odd name') + Q('odd name'):g",
    "Q('odd name') ~ x",
    "y ~ np.log(x) + np.exp(-z) + np.maximum(x, z)",
    "np.log(y) ~ x",
    "I(np.log(y) + center(x)) ~ center(x) + g",
    "I(y / k) ~ x",
    "y ~ cat + number + half + yes",
    "y ~ 0 + cat:x + C(cat, Sum)",
    "y ~ b + b:x + k",
    "y ~ np.isnan(gaps) + np.nan_to_num(gaps)",
    "y ~ gaps",
    "y ~ bs(x, knots=knots, lower_bound=0, upper_bound=3) + I(z + shift)",
    "y ~ C(g, levels=levels) + C(h, w)",
    "y ~ floor(3 * x) + lift(x, 1) + np.log(z)",
]
NAMESPACE = {**ARRAYS, "floor": np.floor, "lift": np.add, "unused": object()}


#: What patsy must be asked for to centre a spline, as is done here beside an intercept.
CENTRE = ", constraints='center'"


def asked_to_centre(formula):
    """The formula for patsy that gives what ours gives, of the formulas in the tests."""
    if "~ 0 +" in formula or "constraints" in formula:
        return formula
    if "te(" in formula:
        return f"{formula[:-1]}{CENTRE})"
    return re.sub(r"\b(c[rc]\(\w+, df=\d)\)", rf"\1{CENTRE})", formula)


def learn(formula, frame=FRAME, **options):
    y = None if "~" in formula and formula.partition("~")[0].strip() else frame["y"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return FormulaDesign.learn(formula, frame, y, namespace=NAMESPACE, **options)


def by_file(design, tmp_path):
    write(tmp_path / "formula", {"state": to_data(design)}, "formula", 1)
    return from_data(read(tmp_path / "formula", {"formula": 1}).data["state"])


def tree(formula, **options):
    return to_data(learn(formula, **options)[0])
