"""Splines beside an intercept are centred, and mean something; models of before stay as they were."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesglm import BayesianLinearRegression, BayesianPoissonRegressor, load
from bayesglm.formula import FormulaDesign
from tests.formula_cases import by_file
from tests.saved_models import FRAME as SAVED

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N = 400
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "x": RNG.uniform(0, 10, N),
        "z": RNG.uniform(0, 1, N),
        "g": RNG.choice(list("abc"), N),
        "b": RNG.random(N) > 0.5,
    }
)
FRAME["w"] = np.sin(FRAME["x"]) + 0.4 * RNG.normal(size=N)
NEW = pd.DataFrame(
    {"x": [-2.0, 0.5, 5.0, 14.0], "z": [0.1, 0.9, 0.5, 0.2], "g": list("abca"), "b": [True, False] * 2}
)
OLD = Path(__file__).parent / "pickles" / "e0c50a6"  # by the code of that commit
FLAT = {"prior": "flat", "intercept_prior": "flat"}


def learn(formula, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return FormulaDesign.learn(formula, FRAME, **options)


@pytest.mark.parametrize("priors", [{}, FLAT], ids=["default", "flat"])
@pytest.mark.parametrize("term", ["cr(x, df=4)", "cc(x, df=4)", "cr(x, knots=[3, 6, 8])"])
def test_coefficients_mean_something(term, priors):
    """sd 2.71 for each, or 'collinear', before; least squares say how large they are."""
    model = BayesianLinearRegression(f"w ~ {term}", random_state=0, **priors).fit(FRAME)
    draws = model.posterior_.draws
    assert np.std(draws["Intercept"]) < 0.05
    assert np.std(draws["coef"], axis=(0, 1)).max() < 0.1
    X = np.column_stack([np.ones(N), model._design.transform(FRAME)])
    fit = np.linalg.lstsq(X, FRAME["w"], rcond=None)
    sd = np.sqrt(np.diag(np.linalg.inv(X.T @ X)) * fit[1] / (N - X.shape[1]))
    np.testing.assert_allclose(np.r_[model.intercept_, model.coef_], fit[0], atol=0.5 * sd.min())
    np.testing.assert_allclose(np.std(draws["coef"], axis=(0, 1)), sd[1:], rtol=0.1)


def test_counts_in_tensor_products():
    frame = FRAME.assign(k=RNG.poisson(np.exp(1 + np.sin(FRAME["x"]) * FRAME["z"])))
    model = BayesianPoissonRegressor("k ~ te(cr(x, df=5), cr(z, df=3))", random_state=0, **FLAT).fit(frame)
    assert model.coef_.shape == (14,)
    assert np.std(model.posterior_.draws["Intercept"]) < 0.1


@pytest.mark.parametrize(
    ("formula", "rank"),
    [
        ("w ~ cr(x, df=4)", 5),
        ("w ~ cr(x, 4)", 5),
        ("w ~ cc(x, df=4) + cr(z, df=3)", 8),
        ("w ~ te(cr(x, df=3), cc(z, df=3))", 9),
        ("w ~ te(cr(x, df=3), bs(z, df=4, include_intercept=True))", 12),
        ("w ~ te(te(cr(x, df=3), cr(z, df=3)), cc(x, df=2))", 18),
        ("w ~ te(cr(x, df=3, constraints='center'), cr(z, df=3, constraints='center'))", 10),
        ("w ~ te(cr(x, df=3), bs(z, df=4))", 13),
        ("w ~ cr(x, df=4, constraints='center')", 5),
        ("w ~ cr(x, knots=[3, 6], constraints=[[1, 0, 0, 0]])", 4),
        ("w ~ center(cr(x, df=4))", 5),
        ("w ~ I(2 * cr(x, df=4))", 5),
        ("w ~ g + cr(x, df=3)", 6),
        ("w ~ g*cr(x, df=3)", 12),
        ("w ~ cr(x, df=3):g", 10),
        ("w ~ b*cr(x, df=3)", 8),
        ("w ~ z*cr(x, df=3)", 8),
        ("w ~ cr(x, df=4):z", 5),
        ("w ~ cr(x, df=3):cr(z, df=3)", 10),
        ("w ~ 0 + cr(x, df=4)", 4),
        ("w ~ cr(x, df=4) - 1", 4),
        ("w ~ 0 + g + cr(x, df=4)", 7),
        ("w ~ 0 + C(b) + cr(x, df=4)", 6),
        ("w ~ 0 + cr(x, df=4) + cr(z, df=3)", 7),
        ("w ~ 0 + te(cr(x, df=3), cr(z, df=3))", 9),
        ("w ~ 0 + z*cr(x, df=3)", 7),
    ],
)
def test_every_column_says_something(formula, rank, tmp_path):
    """All columns are of full rank, and as many as are asked for by df."""
    design, data = learn(formula)
    X = np.column_stack([np.ones(N)] * design.intercept + [data.X])
    assert X.shape[1] == rank
    assert np.linalg.matrix_rank(X) == rank
    code = formula.partition("~")[2].removeprefix(" 0 +").strip()
    assert all(name.replace(" ", "") in code.replace(" ", "") or "*" in code for name in design.terms)
    assert not any("center" in name for name in design.columns if "center" not in formula)
    for again in (by_file(design, tmp_path), pickle.loads(pickle.dumps(design))):
        assert again.columns == design.columns
        np.testing.assert_array_equal(again.transform(FRAME), design.transform(FRAME))


def test_the_mean_over_training_rows_is_zero_and_remembered():
    design, data = learn("w ~ cr(x, df=4) + cc(z, df=3) + te(cr(x, df=3), cr(z, df=3))")
    np.testing.assert_allclose(data.X.mean(axis=0), 0, atol=1e-13)
    np.testing.assert_allclose(design.transform(FRAME.iloc[:7]), data.X[:7], rtol=1e-12, atol=1e-15)
    straight = design.transform(pd.DataFrame({"x": [10.0, 20.0, 30.0], "z": 0.5}))[:, :4]  # beyond the knots
    np.testing.assert_allclose(straight[2] - straight[1], straight[1] - straight[0], rtol=0.2)
    alone = design.transform(NEW.iloc[[1]])
    np.testing.assert_allclose(alone, design.transform(NEW)[[1]], rtol=1e-12, atol=1e-15)


def test_without_an_intercept_by_the_estimator():
    model = BayesianLinearRegression("w ~ cr(x, df=4)", fit_intercept=False, draws=20, chains=2).fit(FRAME)
    np.testing.assert_allclose(model._design.transform(FRAME).sum(axis=1), 1)  # patsy's own basis


def test_the_same_curve():
    """Another basis of the same curves: with flat priors, what is predicted does not change."""
    centred = BayesianLinearRegression("w ~ cr(x, knots=[2, 4, 6, 8])", **FLAT).fit(FRAME)
    whole = BayesianLinearRegression("w ~ 0 + cr(x, knots=[2, 4, 6, 8])", **FLAT).fit(FRAME)
    np.testing.assert_allclose(centred.predict(NEW), whole.predict(NEW), rtol=1e-9)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("term", "message"),
    [
        (
            "cr(x, df=4, constraints=None)",
            r"'cr\(x, df=4, constraints=None\)' holds a constant.*leave its constraints",
        ),
        ("cc(x, 4, None, None, None, None)", "holds a constant"),
        (
            "te(cr(x, df=3), cr(z, df=3), constraints=None)",
            r"'te\(cr\(x, df=3\), cr\(z, df=3\), constraints=None\)' holds",
        ),
        ("cr(x, knots=[3, 6], constraints=[[1, 0, 0, -1]])", "holds a constant"),
        ("te(x, z)", r"te\(\) joins splines, not columns; write te\(cr\(x, df=3\), cr\(z, df=3\)\)"),
    ],
)
def test_what_is_refused(term, message, strict):
    with pytest.raises(ValueError, match=message):
        learn(f"w ~ {term}", strict=strict)
    if "constraints" in term:
        learn(f"w ~ 0 + {term}", strict=strict)


def test_partial_fit_and_merge():
    first, second = FRAME.iloc[:200], FRAME.iloc[200:]
    model = BayesianLinearRegression("w ~ cr(x, df=4)", draws=20, chains=2).fit(first)
    before = model._design.transform(NEW)
    model.partial_fit(second)
    np.testing.assert_array_equal(model._design.transform(NEW), before)


# -- models that earlier versions saved ----------------------------------------------------------------------

RECORD = json.loads((OLD / "splines.json").read_text())


@pytest.fixture(params=["file", "pickle"])
def old(request):
    if request.param == "file":
        return load(OLD / "splines.bayesglm")
    return pickle.loads((OLD / "splines.pickle").read_bytes())


def test_an_uncentred_model_predicts_as_it_did(old, tmp_path):
    rows = pd.DataFrame(RECORD["rows"])
    old.save(tmp_path / "again")
    for model in (old, pickle.loads(pickle.dumps(old)), load(tmp_path / "again")):
        assert list(model.posterior_.features) == RECORD["columns"]
        np.testing.assert_allclose(model._design.transform(rows), RECORD["X"], rtol=1e-12, atol=1e-12)
        mean, sd = model.predict(rows, return_std=True)
        np.testing.assert_allclose(mean, RECORD["mean"], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(sd, RECORD["sd"], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(model.coef_, RECORD["coef"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.array(RECORD["X"])[:, :4].sum(axis=1), 1)  # which was not centred


def test_an_uncentred_model_goes_on_as_it_was_and_is_fitted_anew_centred(old):
    frame = SAVED.assign(t=np.linspace(0, 1, len(SAVED)) ** 2)
    anew = BayesianLinearRegression(old.formula, draws=20, chains=2, random_state=0).fit(frame)
    with pytest.raises(ValueError, match="was fitted to other columns"):
        old.merge(anew)
    old.partial_fit(frame.iloc[:30])
    assert old.posterior_.n_rows == len(SAVED) + 30
    np.testing.assert_allclose(old._design.transform(frame)[:, :4].sum(axis=1), 1)
    np.testing.assert_allclose(old.fit(frame)._design.transform(frame)[:, :4].mean(axis=0), 0, atol=1e-13)
