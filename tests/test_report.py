"""The summary table: text, HTML and data frame, for whoever reads it."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from bayesglm import BayesianLinearRegression, BayesianPoissonRegressor, Normal
from bayesglm.report import SummaryTable

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


def header(model):
    return str(model.summary()).split(" mean ", 1)[0]


def test_each_column_has_a_prior_of_its_own_where_they_are_few(exact, frame):
    unit = 2.5 * frame["y"].std(ddof=0)
    scales = {"a": unit / frame["a"].std(ddof=0), "C(g)[T.v]": unit / (frame["g"] == "v").std(ddof=0)}
    assert f"a ~ Normal(loc=0, scale={scales['a']:.4g})" in header(exact)
    assert f"C(g)[T.v] ~ Normal(loc=0, scale={scales['C(g)[T.v]']:.4g})" in header(exact)
    alike = BayesianLinearRegression(prior_scale=3.0, prior="normal", random_state=0, draws=20)
    alike.fit((frame[["a", "b"]] - frame[["a", "b"]].mean()) / frame[["a", "b"]].std(), frame["y"])
    assert (
        len([line for line in header(alike).splitlines() if "~ Normal" in line]) == 3
    )  # model, Intercept, coef
    both = BayesianLinearRegression(random_state=0, draws=20).fit(
        frame[["a", "b"]], np.c_[frame["y"], frame["y"] ** 2]
    )
    assert f"y0: a ~ Normal(loc=0, scale={scales['a']:.4g})" in header(both)


@pytest.mark.parametrize("columns", [7, 40, 1000])
def test_many_priors_are_a_range_and_where_to_find_them(frame, columns):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, columns)) * np.geomspace(1e-3, 1e3, columns)
    model = BayesianLinearRegression(random_state=0, draws=5).fit(X, frame["y"])
    scales = 2.5 * frame["y"].std(ddof=0) / X.std(axis=0)
    line = f"coef ~ Normal(loc=0, scale={scales.min():.4g} to {scales.max():.4g}), each column its own"
    assert f"{line}: posterior_.priors" in header(model)
    priors = dict(model.posterior_.priors)
    assert len(priors) == columns + 2
    for j, scale in enumerate(scales):
        assert priors[f"x{j}"] == f"Normal(loc=0, scale={scale:.4g})"
    both = BayesianLinearRegression(random_state=0, draws=5).fit(X[:, :4], np.c_[frame["y"], frame["b"]])
    assert f"y0: coef ~ Normal(loc=0, scale={scales[:4].min():.4g} to" in header(both)
    assert "y0: x3" in dict(both.posterior_.priors)


def test_a_prior_cut_off_says_so_for_each_column(frame):
    model = BayesianLinearRegression(prior="normal", positive=True, random_state=0, draws=20)
    text = header(model.fit(frame[["a", "b"]], frame["y"]))
    assert len(re.findall(r"[ab] ~ Normal\(loc=0, scale=[\d.]+\), cut off below 0", text)) == 2


def test_z_is_explained_where_it_is_shown(exact, sampled):
    assert "About 2 is ordinary" in str(exact.summary())
    assert "About 2 is ordinary" in exact.summary()._repr_html_()
    assert "ordinary" not in str(sampled.summary())


def test_what_drew_the_draws_is_said_in_plain_words(frame):
    counts = BayesianPoissonRegressor(random_state=0).fit(frame[["a"]], np.arange(60) % 5)
    assert counts.posterior_.how == "batch"
    text = str(counts.summary())
    assert "4 chains x 1000, no warm-up needed, 0 divergences" in text
    assert "proposals from a normal approximation, accepted or refused by the exact density" in text
    assert max(map(len, text.splitlines())) <= 110
    given = BayesianLinearRegression("y ~ a", tune=0, draws=20, random_state=0).fit(frame)
    assert "4 chains x 20 without warm-up, " in str(given.summary())
    assert "after 100 of warm-up" in str(
        BayesianLinearRegression(random_state=0).fit(frame[["a"]], frame["y"]).summary()
    )


def rows_of_numbers(table, columns=5):
    lines = str(table).splitlines()
    head = next(i for i, line in enumerate(lines) if line.lstrip().startswith("mean"))
    return [
        line.split()[-len(table.columns) :][:columns]
        for line in lines[head + 1 : head + 1 + len(table.names)]
    ]


def test_a_row_has_one_notation_and_no_bare_zeros():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 2))
    for spread in (0.5, 5.0, 50.0, 5000.0):  # of coefficients that the data say nothing of
        draws = np.exp(np.clip(np.log(spread) * rng.normal(size=4000), -500.0, 500.0))
        values = {
            "mean": draws.mean(),
            "sd": draws.std(),
            "5%": np.quantile(draws, 0.05),
            "95%": np.quantile(draws, 0.95),
            "mcse_mean": draws.std() / 63.0,
        }
        table = SummaryTable(
            (("model", "ratios"),), ("x",), {k: np.array([v]) for k, v in values.items()}, ()
        )
        (row,) = rows_of_numbers(table)
        assert len({"e" in number for number in row}) == 1, row
        for text, value in zip(row, values.values(), strict=True):
            assert float(text) == pytest.approx(value, rel=0.06, abs=values["sd"] / 150.0)
            assert float(text) != 0.0
    counts = BayesianPoissonRegressor(random_state=0, draws=50).fit(x, np.arange(30) % 5)
    assert len(rows_of_numbers(counts.summary(scale="response"))) == 3


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1e-3, 1.0, 1e3, 1e5, 1e6, 1e8, 1e12])
def test_a_row_shows_three_digits_of_its_width_whatever_the_unit(frame, unit):
    model = BayesianLinearRegression(random_state=0, draws=20).fit(frame[["a", "b"]], unit * frame["y"])
    table = model.summary()
    for i, row in enumerate(rows_of_numbers(table)):
        sd = table.columns["sd"][i]
        for text, values in zip(row[:4], table.columns.values(), strict=False):
            assert abs(float(text) - values[i]) <= 0.0051 * sd
            assert len(text) <= 13


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
