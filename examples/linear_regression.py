"""Learn how to fit a straight line and read its posterior: from arrays, and in one line with a formula.

The example is that of the PyMC tutorial "GLM: Linear regression", with the same model and priors.

    python examples/linear_regression.py [directory for the pictures, default: here]
"""

import sys
import time
from pathlib import Path
from typing import Any

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from bayesglm import BayesianLinearRegression, HalfCauchy, Normal

# -- The data ----------------------------------------------------------------------------------------
# 200 points on the line y = 1 + 2 x, with normal noise of standard deviation 0.5. In real life only the
# points are known; here the line is known too, so that we can see how well it is found again.
TRUE_INTERCEPT, TRUE_SLOPE, TRUE_SIGMA = 1.0, 2.0, 0.5


def simulate() -> pd.DataFrame:
    rng = np.random.default_rng(8927)
    x = np.linspace(0, 1, 200)
    y = TRUE_INTERCEPT + TRUE_SLOPE * x + rng.normal(scale=TRUE_SIGMA, size=x.size)
    return pd.DataFrame({"x": x, "y": y})


# -- The model, from arrays --------------------------------------------------------------------------
# y ~ Normal(intercept + slope x, sigma). Before the data are seen, intercept and slope are taken to be
# somewhere within a few times 20 of zero, and sigma to be positive. These priors say very little on
# purpose. In PyMC the intercept is the value of the line at x = 0, hence center=False; by default a prior
# on the intercept would speak of the line at the mean of x, which is usually easier to have an opinion on.
def fit_arrays(X: pd.DataFrame, y: pd.Series) -> BayesianLinearRegression:
    model = BayesianLinearRegression(
        prior=Normal(0, 20),
        intercept_prior=Normal(0, 20),
        sigma_prior=HalfCauchy(10),
        center=False,
        draws=3000,
        random_state=0,
    )
    return model.fit(X, y)


# -- The pictures ------------------------------------------------------------------------------------
# A posterior of a line is a bundle of lines: each draw is one that could have made these points. Where
# they lie close together, the data leave little doubt. The band is about something else: where a *new*
# point would fall, noise included.
def draw_lines(model: BayesianLinearRegression, data: pd.DataFrame, path: Path) -> None:
    grid = pd.DataFrame({"x": np.linspace(0, 1, 101)})
    lines = model.sample_predictive(grid, draws=100, kind="mean", random_state=0)
    low, high = model.predict_interval(grid, coverage=0.9).T

    figure, axes = plt.subplots(figsize=(7, 4.4), layout="constrained")
    axes.plot(data.x, data.y, "o", color="0.35", markersize=3, alpha=0.7, label="data")
    axes.plot(grid.x, TRUE_INTERCEPT + TRUE_SLOPE * grid.x, "--", color="tab:red", lw=2, label="true line")
    axes.plot(grid.x, lines.T, color="tab:blue", lw=0.6, alpha=0.25, zorder=1)
    axes.plot([], [], color="tab:blue", lw=1, label="100 lines from the posterior")
    axes.fill_between(grid.x, low, high, color="tab:blue", alpha=0.12, lw=0, label="90 % of new points")
    axes.set(xlabel="x", ylabel="y", xlim=(-0.02, 1.02))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=110)


# ArviZ takes the draws as they are and makes every picture it knows. On the right of this one, each chain's
# draws in their order: like a lawn, without trends or places where a chain sticks. On the left, what they
# add up to. ArviZ 1 has given the picture another name.
def draw_trace(idata: Any, path: Path) -> None:
    plot = az.plot_trace_dist if hasattr(az, "plot_trace_dist") else az.plot_trace
    plot(idata, var_names=["Intercept", "x", "sigma"])
    figure = plt.gcf()
    figure.set_size_inches(10, 6)
    figure.set_layout_engine("constrained")
    figure.savefig(path, dpi=100)


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    data = simulate()
    X, y = data[["x"]], data["y"]  # NumPy arrays do as well; from a frame the slope is called "x"

    start = time.perf_counter()
    model = fit_arrays(X, y)
    seconds = time.perf_counter() - start
    print(f"From arrays: {seconds * 1e3:.0f} ms for 4 chains of 3000 draws\n")
    print(model.summary())

    # The same in one line. The default priors are weak ones on the scale of the data; the summary shows
    # what they came to. With 200 points the posterior hardly notices the difference.
    print("\nIn one line, with a formula and the default priors\n")
    print(BayesianLinearRegression("y ~ x", random_state=0).fit(data).summary())

    # What a new point at x = 0.5 would be: predict gives the mean and, on request, the standard deviation.
    mean, sd = model.predict(pd.DataFrame({"x": [0.5]}), return_std=True)
    print(f"\nA new point at x = 0.5: {mean[0]:.2f} ± {sd[0]:.2f}")

    # As the tutorial has it: with names="terms" the slope is a variable of its own, called after its column.
    idata = model.to_arviz(X, y, names="terms")
    slope = idata.posterior["x"]
    print(f"The slope is above 2 with probability {float((slope > TRUE_SLOPE).mean()):.2f}")

    pictures = directory / "linear_regression.png", directory / "linear_regression_trace.png"
    draw_lines(model, data, pictures[0])
    draw_trace(idata, pictures[1])
    for picture in pictures:
        print(f"picture: {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
