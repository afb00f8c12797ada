"""Learn to model counts and classes: exposures, overdispersion, rate ratios, and how sure a classifier is.

Run ``python examples/counts_and_classes.py [directory]``; it writes one picture. The counts are simulated, the
classes are scikit-learn's breast cancer set.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from bayesglm import BayesianLogisticRegression, BayesianNegativeBinomialRegressor, BayesianPoissonRegressor


def visits(n: int = 400) -> pd.DataFrame:
    """People, how long each was watched, and how often each saw a doctor: more varied than Poisson counts."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.uniform(20, 80, n),
            "smokes": rng.choice(["no", "yes"], n),
            "years": rng.uniform(0.5, 5.0, n),
        }
    )
    rate = np.exp(-1.0 + 0.02 * frame["age"] + 0.4 * (frame["smokes"] == "yes"))
    frame["visits"] = rng.poisson(rate * frame["years"] * rng.gamma(1.5, 1 / 1.5, n))
    return frame


def main(directory: Path) -> None:
    frame = visits()
    train, test = frame.iloc[:300], frame.iloc[300:]
    formula = "visits ~ age + C(smokes)"
    models = {
        "Poisson": BayesianPoissonRegressor(formula, random_state=0),
        "negative binomial": BayesianNegativeBinomialRegressor(formula, random_state=0),
    }
    print("doctors' visits, 100 new people: log predictive density, share inside the 90 % interval")
    for name, model in models.items():
        model.fit(train, exposure="years")
        low, high = model.predict_interval(test, coverage=0.9).T
        inside = ((low <= test["visits"]) & (test["visits"] <= high)).mean()
        print(f"  {name:18} {model.log_predictive_density(test).mean():6.2f}   {inside:.2f}")
    print()
    print(models["negative binomial"].summary(scale="response"))

    data = load_breast_cancer()
    columns = [0, 1, 4, 24]
    X_train, X_test, y_train, y_test = train_test_split(
        data.data[:, columns], data.target_names[data.target], test_size=0.4, random_state=0
    )
    classifier = BayesianLogisticRegression(random_state=0).fit(X_train, y_train)
    assert list(classifier.classes_) == ["benign", "malignant"]
    probability = classifier.predict_proba(X_test)[:, 1]
    low, high = classifier.predict_interval(X_test).T
    print()
    print(f"breast cancer: accuracy {classifier.score(X_test, y_test):.3f} on {len(y_test)} patients")

    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), constrained_layout=True)
    ages = pd.DataFrame({"age": np.linspace(20, 80, 50), "smokes": "yes", "years": 1.0})
    for (name, model), colour in zip(models.items(), ("tab:orange", "tab:blue"), strict=True):
        low_line, high_line = model.predict_interval(ages, coverage=0.9, kind="mean").T
        left.plot(ages["age"], model.predict(ages), color=colour, label=name)
        left.fill_between(ages["age"], low_line, high_line, color=colour, alpha=0.25, linewidth=0)
    left.set(xlabel="age of a smoker", ylabel="visits a year", title="the same line, not the same certainty")
    left.legend(frameon=False)

    order = np.argsort(probability)
    place = np.arange(len(order))
    sick = y_test[order] == "malignant"
    right.fill_between(place, low[order], high[order], color="0.85", linewidth=0, label="90 % interval")
    for group, colour, name in ((sick, "tab:red", "malignant"), (~sick, "tab:green", "benign")):
        right.plot(place[group], probability[order][group], ".", color=colour, markersize=4, label=name)
    right.set(
        xlabel="patients, in order", ylabel="probability of malignant", title="how sure a classifier is"
    )
    right.legend(frameon=False, loc="upper left")
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "counts_and_classes.png"
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
