"""Learn how to choose a prior's scale by predictive density: with refits in folds, and with no refits at all.

442 diabetes patients with ten measurements and their squares and products, 65 predictors in all: too many to be let
loose, and most of them of little use. How far should a prior hold their coefficients back?

    python examples/choosing_a_prior_scale.py [directory for the picture, default: here]
"""

import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from bayesglm import BayesianLinearRegression
from bayesglm.metrics import CoverageScorer, crps_scorer, log_density_scorer
from bayesglm.model_selection import LooSearch

SCALES = [0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.5, 1, 2.5]
NAME = "bayesianlinearregression__prior_scale"


# `prior_scale` counts in units of sd(y)/sd(x). The squares are taken of standardised measurements, so that they do
# not repeat what the measurements say themselves.
def model():
    squares = PolynomialFeatures(2, include_bias=False)
    return make_pipeline(StandardScaler(), squares, BayesianLinearRegression(random_state=0))


# Ten times, nine tenths of the patients are learnt from and the last tenth is predicted. The log density asks for
# everything at once: near predictions and honest uncertainty. CRPS does so in the units of y, and coverage is there
# to look at.
def by_folds(X, y):
    scoring = {"density": log_density_scorer, "crps": crps_scorer, "inside": CoverageScorer(coverage=0.9)}
    folds = KFold(10, shuffle=True, random_state=0)
    search = GridSearchCV(model(), {NAME: SCALES}, scoring=scoring, refit="density", cv=folds).fit(X, y)
    found = search.cv_results_
    split = np.array([found[f"split{i}_test_density"] for i in range(10)])
    best = split[:, search.best_index_, np.newaxis]
    table = pd.DataFrame(
        {
            "log density": found["mean_test_density"],
            "to the best": (split - best).mean(axis=0),
            "± se": (split - best).std(axis=0, ddof=1) / np.sqrt(10),
            "CRPS": -found["mean_test_crps"],
            "inside 90 %": found["mean_test_inside"],
        },
        index=pd.Index(SCALES, name="scale"),
    )
    return table, search


# The same without a refit: one fit a scale to all patients, and every patient's density as if that patient had not
# been there, by weighing the posterior's draws.
def by_leave_one_out(X, y):
    search = LooSearch(model(), {NAME: SCALES}).fit(X, y)
    found = search.results_
    table = pd.DataFrame(
        {
            "log density": found["mean_elpd"],
            "to the best": found["elpd_diff"] / len(y),
            "± se": found["se_diff"] / len(y),
            "parameters": found["p"],
            "largest k": found["max_pareto_k"],
        },
        index=pd.Index(SCALES, name="scale"),
    )
    return table, search


# The picture: how much worse than the best scale the others predict, with the standard error of that difference,
# which is much smaller than that of each alone, since both predict the same patients.
def draw_curves(tables, path):
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    axes.axhline(0, color="0.7", linewidth=1)
    styles = ("C0-o", 0.985), ("C1-D", 1.015)
    for (name, table), (style, shift) in zip(tables.items(), styles, strict=True):
        difference, error = table["to the best"], table["± se"]
        axes.errorbar(table.index * shift, difference, error, fmt=style, capsize=3, markersize=5, label=name)
    axes.set_xscale("log")
    axes.set_xticks(SCALES, [f"{scale:g}" for scale in SCALES])
    axes.minorticks_off()
    axes.set_xlabel("scale of the prior on the coefficients, in units of sd(y)/sd(x)")
    axes.set_ylabel("log predictive density of a patient,\ncompared with the best scale")
    axes.spines[["top", "right"]].set_visible(False)
    title = "bars: one standard error of the difference"
    axes.legend(loc="lower right", frameon=False, title=title, alignment="left")
    figure.savefig(path, dpi=100)


def main(directory):
    directory.mkdir(parents=True, exist_ok=True)
    X, y = load_diabetes(return_X_y=True, scaled=False)
    tables = {}
    for name, search in {"ten folds": by_folds, "leave-one-out, no refits": by_leave_one_out}.items():
        start = time.perf_counter()
        tables[name], found = search(X, y)
        print(f"{name}: {time.perf_counter() - start:.1f} s, best scale {found.best_params_[NAME]}\n")
        print(tables[name].round(3).to_string(), end="\n\n")
    print(found.best_loo_)
    picture = directory / "choosing_a_prior_scale.png"
    draw_curves(tables, picture)
    print(f"\npicture: {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
