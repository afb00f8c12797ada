"""Saved models of all kinds, changed at random, loaded and used in a process of its own with limits.

    python -m tests.reliability.changed_model_files --files 20000 [--seed 0] [--first 0]

One to three entries of the tree, JSON or arrays, are replaced, removed, moved, scaled or bent; one file in twenty is
changed in its bytes. Each must be refused in one sentence, by the loader or by the methods, or give finite answers:
predictions, deviations, intervals, quantiles, draws, summary, more draws, a file again, more rows. A death, a hang of
25 s, memory beyond 4 GiB, any other error or a number that is not finite is printed with the changes that led to it.
"""

import argparse
import copy
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import bayesglm
from bayesglm import R2D2, Horseshoe, archive
from bayesglm.model_file import ESTIMATORS
from tests import saved_models
from tests.fuzz_promises import expect, finite, place, refusal
from tests.limited_child import limited

SECONDS, GIB = 25.0, 4.0
# Files that a child tries before the next child is forked; one alone where something goes wrong.
TOGETHER = 20
QUICK: dict[str, Any] = {"draws": 30, "chains": 2, "random_state": 0, "n_jobs": 1, "progressbar": False}
LINEAR = (
    *(
        "arrays",
        "laplace",
        "positive",
        "mapping",
        "flat",
        "two responses",
        "sparse",
        "precisions",
        "no intercept",
    ),
    *(
        "generator",
        "formula",
        "formula, responses",
        "formula, namespace",
        "more columns than rows",
        "exact fit",
    ),
)
FRAME = saved_models.FRAME.assign(
    count=np.arange(60) % 4, size=np.exp(saved_models.FRAME["a"]), share=np.linspace(0.01, 0.99, 60)
)
FRAME["many"] = np.where(FRAME["g"] == "w", "third", np.where(FRAME["a"] > 0.0, "first", "second"))
X = FRAME[["a", "b", "c"]]
#: Models of other likelihoods: class, parameters, y.
OTHERS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "logistic": ("BayesianLogisticRegression", {}, FRAME["g"] == "u"),
    "classes": ("BayesianLogisticRegression", {}, FRAME["many"]),
    "poisson": ("BayesianPoissonRegressor", {}, FRAME["count"]),
    "negative binomial": ("BayesianNegativeBinomialRegressor", {}, FRAME["count"]),
    "gamma": ("BayesianGammaRegressor", {}, FRAME["size"]),
    "robust": ("BayesianRobustRegression", {}, FRAME["y"]),
    "inverse gaussian": ("BayesianGLM", {"family": "inverse_gaussian"}, FRAME["size"]),
    "beta": ("BayesianGLM", {"family": "beta"}, FRAME["share"]),
    "gaussian": ("BayesianGLM", {"family": "gaussian"}, FRAME["y"]),
    "horseshoe": ("BayesianPoissonRegressor", {"prior": Horseshoe()}, FRAME["count"]),
    "splines": (
        "BayesianPoissonRegressor",
        {"formula": "count ~ bs(a, df=4) + te(cr(b, 3), cc(c, 3)) + C(g, Poly) + center(size)"},
        None,
    ),
    "linear horseshoe": ("BayesianLinearRegression", {"prior": Horseshoe()}, FRAME["y"]),
    "linear R2D2": ("BayesianLinearRegression", {"prior": R2D2()}, FRAME["y"]),
}
NUMBERS = [0.0, -1.0, 1e-300, 1e300, -1e300, 1e10, 1e-10, 5e-324, 1e155, 1e-155, np.nan, np.inf, -np.inf, 7.0]
FACTORS = [-1.0, 1e-300, 1e-150, 1e-8, 1e8, 1e150, 1e300, 0.0]
ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        3,
        2**31,
        2**62,
        2**63,
        2**70,
        0.0,
        0.5,
        -1.0,
        1e308,
        1e-308,
        np.nan,
        np.inf,
    ),
    *("", "a", "y ~ a", "normal", [], {}, [1], ["a", "a"], np.zeros(0), np.zeros((1, 1)), np.float32(1.0)),
]


def models(names: Collection[str] = (*LINEAR, *OTHERS)) -> dict[str, tuple[str, Any, Any]]:
    """By name: the class, the tree of plain data, and rows for the methods."""
    found: dict[str, tuple[str, Any, Any]] = {}
    for name in (name for name in LINEAR if name in names):
        model = saved_models.fitted(name)
        found[name] = (type(model).__name__, model._data.describe(model), saved_models.rows_of(name))
    for name, (kind, params, y) in ((name, OTHERS[name]) for name in OTHERS if name in names):
        model = ESTIMATORS[kind](**QUICK, **params)
        model.fit(FRAME if model.formula else X, y)
        found[name] = (kind, model._data.describe(model), (FRAME if model.formula else X).iloc[:7])
    return found


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every entry of a tree."""
    items = (
        data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list | tuple) else ()
    )
    return [place for key, value in items for place in [(*path, key), *places(value, (*path, key))]]


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        data = data[step]
    return data


def bent(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another array of that shape, or of another shape or type."""
    value = value.copy()
    choice = rng.integers(9)
    if choice == 0:
        return value.reshape(-1)[: rng.integers(value.size)]
    if choice == 1:
        with np.errstate(all="ignore"):
            return value.astype(rng.choice(["f4", "f8", "i8", "u1", "?"]))
    if choice == 2:
        return rng.permutation(value.reshape(-1)).reshape(value.shape)
    if value.dtype.kind == "f":
        with np.errstate(all="ignore"):
            if choice == 3:
                return value * rng.choice(FACTORS)
            if choice == 4:
                return np.full_like(value, rng.choice(NUMBERS))
            if choice == 5 and value.ndim:
                value[..., rng.integers(value.shape[-1])] *= rng.choice(FACTORS)
                return value
        value.reshape(-1)[rng.integers(value.size)] = rng.choice(NUMBERS)
    elif value.dtype.kind in "iu":
        value.reshape(-1)[rng.integers(value.size)] = rng.integers(
            np.iinfo(value.dtype).min, np.iinfo(value.dtype).max, endpoint=True, dtype=value.dtype
        )
    else:
        value.reshape(-1)[rng.integers(value.size)] ^= True
    return value


def changed(data: Any, rng: np.random.Generator) -> tuple[Any, list[str]]:
    """A copy with one to three changes, and these in words."""
    data, said = copy.deepcopy(data), []
    for _ in range(rng.integers(1, 4)):
        paths = places(data)
        path = paths[rng.integers(len(paths))]
        *above, last = path
        inner, value, choice = at(data, tuple(above)), at(data, path), rng.integers(10)
        if isinstance(inner, tuple):
            continue
        if isinstance(value, np.ndarray) and value.size and choice < 8:
            new: Any = bent(value, rng)
        elif isinstance(value, float | int) and type(value) is not bool and choice < 5:
            with np.errstate(all="ignore"):
                new = type(value)(rng.choice([0, -1, 1, 2, 10, 1000])) + value if choice < 2 else value
            if type(value) is float and choice >= 2:
                new = float(rng.choice([*NUMBERS, *FACTORS]))
        elif choice == 8:
            del inner[last]
            said.append(f"{path} removed")
            continue
        elif choice == 9:
            new = copy.deepcopy(at(data, paths[rng.integers(len(paths))]))
        else:
            new = copy.deepcopy(ODD[rng.integers(len(ODD))])
        inner[last] = new
        said.append(f"{path} = {str(new)[:200]!r}")
    return data, said


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    """A file that is shorter, or has another byte."""
    where = int(rng.integers(len(content)))
    if rng.random() < 0.5:
        return content[:where]
    return content[:where] + bytes([int(rng.integers(256))]) + content[where + 1 :]


def flat(groups: Any) -> np.ndarray:
    """All draws that ArviZ's groups hold."""
    return np.concatenate([np.ravel(values) for values in groups.posterior.data_vars.values()])


def uses(model: Any, rows: Any, path: Path) -> dict[str, Any]:
    """What is done with a loaded model; each must refuse in a sentence, or answer with finite numbers."""
    n = rows.shape[0]
    calls = {
        "predict": lambda: model.predict(rows),
        "predict_interval": lambda: model.predict_interval(rows),
        "predict_quantiles": lambda: model.predict_quantiles(rows, [0.1, 0.5]),
        "sample_predictive": lambda: model.sample_predictive(rows, 3),
        "predict_proba": lambda: model.predict_proba(rows),
        "decision_function": lambda: model.decision_function(rows),
        "coef_": lambda: model.coef_,
        "sample_posterior": lambda: flat(model.sample_posterior(2)),
    }
    if not hasattr(model, "predict_proba"):
        calls["std"] = lambda: model.predict(rows, return_std=True)[1]
    found = {name: call for name, call in calls.items() if hasattr(model, name) or name == "std"}
    found["summary"] = lambda: str(model.summary()) and 0.0
    found["save"] = lambda: model.save(path.with_name("again")) or 0.0
    if hasattr(model, "partial_fit"):
        y = None if model.formula else np.zeros((n, *model._shape))
        again = {"draws": 2, "chains": 1, "tune": 5, "progressbar": False}
        found["partial_fit"] = lambda: model.set_params(**again).partial_fit(rows, y).coef_
    return found


def tried(path: Path, rows: Any) -> str:
    """Load a file and use the model: "refused", "works", "answers with an error", or what is not as promised."""
    doing, outcome = "load", "works"
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                model = bayesglm.load(path)
            except ValueError as error:
                text = str(error)
                expect(text.startswith(repr(str(path))) and "\n" not in text, f"no sentence: {text}")
                return "refused"
            if not hasattr(model, "posterior_"):
                return "works"
            for doing, call in uses(model, rows, path).items():
                try:
                    answer = call()
                except (ValueError, TypeError) as error:
                    refusal(error)
                    outcome = "answers with an error"
                else:
                    if (
                        doing == "std"
                    ):  # which Student's t with less than two degrees of freedom does not have
                        expect(not np.isnan(answer).any(), "std is not a number")
                    elif np.asarray(answer).dtype.kind == "f":
                        finite(answer, doing)
    except BaseException as error:
        return f"FINDING in {doing}: {place(error)}: {str(error)[:300]}"
    return outcome


@dataclass
class Attack:
    """Files by number, each from a seed of its own."""

    trees: dict[str, tuple[str, Any, Any]]
    seed: int
    path: Path

    def one(self, number: int) -> tuple[str, str]:
        """Change a model, write it and try the file: the outcome, and the changes in words."""
        rng = np.random.default_rng([self.seed, number])
        name = list(self.trees)[int(rng.integers(len(self.trees)))]
        kind, tree, rows = self.trees[name]
        data, said = changed(tree, rng)
        try:
            archive.write(self.path, data, kind, ESTIMATORS[kind]._data.VERSION)
        except ValueError:  # it is no plain data, so that no file holds it
            return "not written", ""
        if rng.random() < 0.05:
            self.path.write_bytes(cut(self.path.read_bytes(), rng))
            said.append("cut, or a byte changed")
        return tried(self.path, rows), "\n  ".join([name, *said])

    def several(self, numbers: range) -> list[tuple[str, str]]:
        """Try files in a child; in one for each if it does not end well."""
        found = limited(lambda: [self.one(number) for number in numbers], SECONDS, GIB)
        if not found.end:
            return list(found.result)
        if len(numbers) == 1:
            return [(f"FINDING: {found.end}", "")]
        return [one for number in numbers for one in self.several(range(number, number + 1))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trees = models()
        saved_models.fitted("arrays").sample_posterior(2)  # what is imported late is imported now
    attack = Attack(trees, options.seed, Path(tempfile.mkdtemp()) / "model")
    counts, begun, end = Counter[str](), time.monotonic(), options.first + options.files
    for first in range(options.first, end, TOGETHER):
        numbers = range(first, min(first + TOGETHER, end))
        for number, (outcome, said) in zip(numbers, attack.several(numbers), strict=True):
            counts[outcome.partition(" in ")[0].partition(":")[0]] += 1
            if outcome.startswith("FINDING"):
                print(f"\n{number} {outcome}\n  {said}", flush=True)
        if numbers[-1] % 1000 >= 1000 - TOGETHER:
            print(f"{numbers[-1] + 1} {dict(counts)} after {time.monotonic() - begun:.0f} s", flush=True)
    print(f"\n{dict(counts)}, seed {options.seed}, {time.monotonic() - begun:.0f} s")
    raise SystemExit(counts["FINDING"] > 0)


if __name__ == "__main__":
    main()
