"""The summary table: text, HTML and data frame, for whoever reads it."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from bayesglm import BayesianLinearRegression, Normal

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    frame["g"] = list("uvw") * 20
    frame["y"] = 1.0 + 2.0 * frame["a"] + rng.normal(size=60)
    return frame


@pytest.fixture(scope="module")
def exact(frame):
    return BayesianLinearRegression("y ~ a + C(g)", random_state=0).fit(frame)


@pytest.fixture(scope="module")
def sampled(frame):
    return BayesianLinearRegression("y ~ a + C(g)", prior="laplace", random_state=0).fit(frame)


def test_text_names_model_rows_priors_and_every_parameter(exact):
    text = str(exact.summary())
    assert repr(exact.summary()) == text
    for piece in (
        "BayesianLinearRegression",
        "y ~ a + C(g)",
        "60",
        "4 chains x 1000",
        "0 divergences",
        "HalfStudentT",
    ):
        assert piece in text
    lines = text.splitlines()
    for name in exact.posterior_.names:
        assert sum(line.startswith(name + " ") for line in lines) >= 1, name
    for column in ("mean", "sd", "5%", "95%", "mcse_mean", "ess_bulk", "ess_tail", "r_hat", "z"):
        assert column in text
    assert not any(line != line.rstrip() for line in lines)
    assert max(map(len, lines)) <= 110


def test_columns_of_numbers_are_aligned(exact):
    lines = str(exact.summary()).splitlines()
    head = next(i for i, line in enumerate(lines) if line.lstrip().startswith("mean"))
    body = lines[head + 1 : head + 1 + len(exact.posterior_.names)]
    assert len({len(line) for line in [lines[head], *body]}) == 1


def test_priors_are_shown_after_scaling(exact, frame):
    text = str(exact.summary())
    unit = frame["y"].std(ddof=0) / frame["a"].std(ddof=0)
    assert f"{2.5 * unit:.4g}" in text
    assert "autoscale" not in text
    given = BayesianLinearRegression(
        "y ~ a + C(g)", prior={"C(g)": Normal(0, 7)}, random_state=0, draws=20
    ).fit(frame)
    assert "Normal(loc=0, scale=7)" in str(given.summary())
    assert "C(g)" in str(given.summary())


def test_frame_holds_unrounded_numbers(exact, sampled):
    table = exact.summary().to_frame()
    assert list(table.index) == list(exact.posterior_.names)
    assert table.loc["a", "mean"] == exact.coef_[2]
    assert table.loc["sigma", "mean"] == exact.sigma_
    assert table.loc["Intercept", "mean"] == exact.intercept_
    assert table.loc["a", "r_hat"] == exact.posterior_.diagnostics.rhat[3]
    assert np.all(np.abs(table["z"]) < 5)
    draws = sampled.posterior_.draws
    other = sampled.summary().to_frame()
    assert other.loc["sigma", "mean"] == pytest.approx(draws["sigma"].mean())
    assert other.loc["sigma", "sd"] == pytest.approx(draws["sigma"].std())
    assert other.loc["a", "5%"] == pytest.approx(np.quantile(draws["coef"][..., 2], 0.05))
    assert "z" not in other
    np.testing.assert_allclose(other[["mean", "sd"]], table[["mean", "sd"]], rtol=0.2, atol=0.05)


def test_exact_intervals_agree_with_the_draws(exact):
    table = exact.summary(0.8).to_frame()
    assert {"10%", "90%"} <= set(table)
    draws = exact.posterior_.stacked().reshape(len(table), -1)
    below = np.mean(draws < table["10%"].to_numpy()[:, None], axis=1)
    above = np.mean(draws > table["90%"].to_numpy()[:, None], axis=1)
    assert np.all(np.abs(np.r_[below, above] - 0.1) < 4.5 * np.sqrt(0.09 / 1800))


class Cells(HTMLParser):
    """Collects the text of the cells and sees that tags match."""

    def __init__(self):
        super().__init__()
        self.open, self.cells = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells.append(data)


def test_html_has_the_same_cells(exact):
    parser = Cells()
    parser.feed(exact.summary()._repr_html_())
    assert parser.open == []
    for name in (*exact.posterior_.names, "ess_bulk", "y ~ a + C(g)"):
        assert any(name in cell for cell in parser.cells)


def test_html_escapes_names(frame):
    evil = frame.rename(columns={"a": "<script>&"})[["<script>&", "b"]]
    model = BayesianLinearRegression(random_state=0, draws=20).fit(evil, frame["y"])
    html = model.summary()._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;&amp;" in html
    assert "<script>&" in str(model.summary())


def test_weights_dropped_rows_and_missing_intercept_show(frame):
    model = BayesianLinearRegression("y ~ a - 1", random_state=0, draws=20).fit(
        frame, sample_weight=np.full(60, 2.0)
    )
    text = str(model.summary())
    assert "60 (weights sum to 120)" in text
    assert "Intercept" not in text
    with pytest.warns(UserWarning, match="dropped 5 of 60"):
        model.fit(frame.assign(a=frame["a"].mask(frame.index < 5)))
    assert re.search(r"rows\s+55", str(model.summary()))


@pytest.mark.filterwarnings("ignore:(?i)the data are fitted")
def test_extreme_numbers_stay_readable(frame):
    for unit in (1e-12, 1e12):
        model = BayesianLinearRegression(random_state=0, draws=50).fit(
            frame[["a", "b"]] * [1e6, 1.0], unit * frame["y"]
        )
        table = str(model.summary())
        assert max(map(len, table.splitlines())) <= 120
        assert "nan" not in table
    perfect = BayesianLinearRegression(random_state=0, draws=50).fit(frame[["a"]], 3.0 + frame["a"])
    assert re.search(r"Intercept\s+3(\.0*)?\s", str(perfect.summary()))


def test_many_columns_and_long_names(frame):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        rng.normal(size=(60, 40)), columns=[f"a rather long name of column number {i}" for i in range(40)]
    )
    model = BayesianLinearRegression(random_state=0, draws=20).fit(X, frame["y"])
    text = str(model.summary())
    assert "a rather long name of column number 39" in text
    header = text.split("mean ", 1)[0]
    assert max(map(len, header.splitlines())) <= 120, "the priors of many columns must not fill the screen"
    assert len(header.splitlines()) <= 12


def test_one_chain_and_few_draws(frame):
    for params in ({"chains": 1, "draws": 50}, {"draws": 1}, {"chains": 1, "draws": 2}):
        text = str(BayesianLinearRegression("y ~ a", random_state=0, **params).fit(frame).summary())
        assert "nan" in text  # R-hat of one chain, or of a draw or two, is not known
        assert "a " in text


def test_posterior_prints_in_a_line(exact):
    assert repr(exact.posterior_) == (
        "Posterior(4 chains x 1000 draws of 5 parameters, how='diagonal', 0 divergences)"
    )
