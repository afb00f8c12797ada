"""Learn how a full posterior compares with scikit-learn's linear models on real data, in its own tools.

442 diabetes patients: age, sex, body mass index, blood pressure and six blood serum measurements, and a
measure of how far the disease progressed a year later. Which of the ten matter, and how sure can one be?

    python examples/diabetes.py [directory for the picture, default: here]
"""

import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import BayesianRidge, LinearRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bayesglm import BayesianLinearRegression


def standardised(model):
    return make_pipeline(StandardScaler().set_output(transform="pandas"), model)


# How narrow should the prior on the coefficients be? `prior_scale` counts in units of sd(y)/sd(x): at 0.1 a
# predictor that moves by one standard deviation is expected to move y by about a tenth of y's. Cross-
# validation judges each scale by the density that the model gave to patients it had not seen: unlike R²,
# this also asks whether the uncertainty it stated was right.
def log_density(pipeline, X, y):
    return np.mean(pipeline[-1].log_predictive_density(pipeline[:-1].transform(X), y))


def search_prior_scale():
    grid = {"bayesianlinearregression__prior_scale": [0.03, 0.1, 0.3, 1, 2.5]}
    return GridSearchCV(standardised(BayesianLinearRegression(random_state=0)), grid, scoring=log_density)


# All models have to say what a new patient's value will be and how uncertain that is. The Bayesian ones know;
# the other two get the standard deviation of their residuals, the usual remedy.
def predict(model, X, X_train, y_train):
    model = getattr(model, "best_estimator_", model)
    if isinstance(model[-1], (BayesianLinearRegression, BayesianRidge)):
        return model.predict(X, return_std=True)
    residuals = y_train - model.predict(X_train)
    return model.predict(X), np.sqrt(np.sum(residuals**2) / (len(X_train) - X_train.shape[1] - 1))


# Five times, four fifths of the patients are learnt from and the last fifth is predicted. The prior scale and
# Ridge's penalty are searched anew within the four fifths, so that nobody has seen what is predicted.
def compare(models, X, y):
    rows = {}
    for name, model in models.items():
        mean, sd = np.empty(len(y)), np.empty(len(y))
        start = time.perf_counter()
        for train, test in KFold(5, shuffle=True, random_state=0).split(X):
            fitted = clone(model).fit(X.iloc[train], y.iloc[train])
            mean[test], sd[test] = predict(fitted, X.iloc[test], X.iloc[train], y.iloc[train])
        rows[name] = {
            "R²": r2_score(y, mean),
            "log density": norm.logpdf(y, mean, sd).mean(),
            "inside 90 %": np.mean(np.abs(y - mean) < norm.ppf(0.95) * sd),
            "seconds": time.perf_counter() - start,
        }
    return pd.DataFrame(rows).T


# The picture: what one standard deviation more of each predictor does to the progression of the disease.
# A point estimate is one dot; the posterior says how far from it the truth may be.
def draw_coefficients(model, others, path):
    table = model.summary(coverage=0.9).to_frame().loc[list(model.feature_names_in_)]
    table = table.iloc[np.argsort(np.abs(table["mean"]))]
    place = np.arange(len(table))
    figure, axes = plt.subplots(figsize=(7, 4.8), layout="constrained")
    axes.axvline(0, color="0.7", linewidth=1)
    axes.hlines(place, table["5%"], table["95%"], "tab:blue", linewidth=3, alpha=0.6, label="90 % interval")
    axes.plot(table["mean"], place, "o", color="tab:blue", markersize=8, label="posterior mean")
    for (name, other), style in zip(others.items(), ("C3s", "C1D", "k^"), strict=True):
        coef = pd.Series(other[-1].coef_, index=model.feature_names_in_)[table.index]
        axes.plot(coef, place + 0.22, style, markersize=4, label=name)
    axes.set_yticks(place, table.index)
    axes.set_xlabel("change of disease progression for one standard deviation more")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", frameon=False)
    figure.savefig(path, dpi=100)


def main(directory):
    directory.mkdir(parents=True, exist_ok=True)
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    X.columns = ["age", "sex", "bmi", "bp", "tc", "ldl", "hdl", "tch", "ltg", "glu"]
    others = {
        "LinearRegression": standardised(LinearRegression()),
        "Ridge, penalty by CV": standardised(RidgeCV(alphas=np.geomspace(0.1, 1000, 25))),
        "BayesianRidge": standardised(BayesianRidge()),
    }
    default = standardised(BayesianLinearRegression(random_state=0))
    search = search_prior_scale()
    print(f"{len(y)} patients, five-fold cross-validation\n")
    models = {"bayesglm": default, "bayesglm, scale by CV": search, **others}
    print(compare(models, X, y).round(3).to_string())

    best = search.fit(X, y).best_estimator_[-1]
    print(f"\nAll patients, with the prior scale that predicted best, {best.prior_scale}\n")
    print(best.summary())

    picture = directory / "diabetes.png"
    draw_coefficients(best, {name: model.fit(X, y) for name, model in others.items()}, picture)
    print(f"\npicture: {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
