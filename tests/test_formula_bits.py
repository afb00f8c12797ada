"""What formulas say in Python and nobody means: bits instead of powers, the response explaining itself."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import polars
import pytest

from bayesglm import BayesianLinearRegression, BayesianLogisticRegression, load
from bayesglm.formula import FormulaDesign

N = 60
RNG = np.random.default_rng(3)
FRAME = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.uniform(0.1, 2, N),
        "z": RNG.integers(0, 8, N),
        "k": RNG.integers(0, 8, N).astype("int8"),
        "b": RNG.random(N) > 0.5,
        "a": RNG.random(N) > 0.5,
        "g": RNG.choice(list("pq"), N),
    }
)
OLD = Path(__file__).parent / "pickles" / "e0c50a6"  # by the code of that commit
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
BOTH = pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])


def learn(formula, strict=False, y=None, **options):
    return FormulaDesign.learn(formula, FRAME, y, strict=strict, **options)


@BOTH
@pytest.mark.parametrize("column", ["x", "z", "k", "b"])
@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("I({0}^2)", "I({0}**2)"),
        ("{0}^2", "I({0}**2)"),
        ("np.log({0}^2 + 1)", "np.log({0}**2 + 1)"),
        ("center({0} ^ 3)", "center({0}**3)"),
        ("I({0} << 2)", "I({0} * 2**2)"),
        ("I({0} >> 1)", "I({0} // 2**1)"),
    ],
)
def test_powers_and_shifts_on_any_dtype(code, remedy, column, strict):
    for formula in (f"y ~ {code}", f"{code} ~ y", f"y ~ g + g:{code}"):
        with pytest.raises(ValueError, match="is not supported; write ") as caught:
            learn(formula.format(column), strict)
        assert str(caught.value).endswith(remedy.format(column))


@BOTH
def test_one_of_two_conditions(strict):
    with pytest.raises(ValueError, match=r"write \(x > 1\) != \(z > 2\) for one of two"):
        learn("y ~ I((x > 1) ^ (z > 2))", strict)
    _, data = learn("y ~ I((x > 1) != (z > 2))", strict)
    np.testing.assert_array_equal(data.X[:, 0], (FRAME.x > 1) ^ (FRAME.z > 2))


@BOTH
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("np.where((x > 1) & (z < 2), 1, 0)", (FRAME.x > 1) & (FRAME.z < 2)),
        ("I((x > 1) | (z < 2) & ~(k == 3))", (FRAME.x > 1) | ((FRAME.z < 2) & (FRAME.k != 3))),
        ("I(~(~((x > 1) & b) | (g == 'p')))", ((FRAME.x > 1) & FRAME.b) & (FRAME.g != "p")),
        ("I(a & b)", FRAME.a & FRAME.b),
        ("I(~b)", ~FRAME.b),
        ("I(a | Q('b'))", FRAME.a | FRAME.b),
        ("I(np.isnan(x) | (x > 1))", FRAME.x > 1),
        ("I(np.isin(g, ['p']) & ~np.isfinite(x) | True)", np.ones(N)),
        ("I(I(x > 1) & yes)", FRAME.x > 1),
    ],
)
def test_masks(code, expected, strict):
    _, data = learn(f"y ~ np.where({code}, 1, 0)", strict, namespace={"yes": True})
    np.testing.assert_array_equal(data.X[:, 0], expected)


def test_masks_of_methods():
    _, data = learn("y ~ np.where(x.between(0.5, 1) | g.str.startswith('p') & x.notna(), 1, 0)")
    np.testing.assert_array_equal(data.X[:, 0], FRAME.x.between(0.5, 1) | (FRAME.g == "p"))


@BOTH
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("I(z & k)", r"'&' joins conditions, and 'z' in 'z & k' is not known .*; write \(z != 0\)"),
        ("I(b | k)", "'k' in 'b | k'"),
        ("I(~z)", "'~' joins conditions, and 'z' in '~z' .*; write z == 0, or -z"),
        ("I((x > 1) & z)", r"'z' in '\(x > 1\) & z'"),
        (
            "I(x > 1 & z < 2)",
            r"'1' in '1 & z' .*; put each comparison in parentheses, as in \(x > 1\) & \(z < 2\)",
        ),
        ("np.where(((x > 1) | z) & b, 1, 0)", r"'z' in '\(x > 1\) \| z'"),
        ("np.where(~(z + 1), 1, 0)", r"'z \+ 1' in '~\(z \+ 1\)'"),
        ("I(np.round(x) & b)", r"'np.round\(x\)' in"),
        ("I(b & one)", "'one' in 'b & one'"),
        ("I(g | b)", "'g' in"),
        ("I(1 | z)", "'1' in"),
    ],
)
def test_bits_of_numbers(code, message, strict):
    for formula in (f"y ~ {code}", f"y ~ x + center({code})"):
        with pytest.raises(ValueError, match=message):
            learn(formula, strict, namespace={"one": 1})


def test_the_mode_is_right_about_a_square():
    """What the first trial typed: whole numbers squared."""
    frame = pd.DataFrame({"z": np.arange(8).repeat(5)})
    frame["y"] = 0.3 * frame["z"] ** 2 + np.random.default_rng(0).normal(size=40)
    with pytest.raises(ValueError, match=r"I\(z\*\*2\)"):
        BayesianLinearRegression("y ~ I(z^2)").fit(frame)


# -- files and pickles of before -----------------------------------------------------------------------------


def test_a_file_with_an_exclusive_or_is_refused():
    for strict in (True, False):
        with pytest.raises(
            ValueError, match=r"cannot be loaded: formula 'y ~ I\(z\^2\)': '\^' is not .* I\(z\*\*2\)"
        ):
            load(OLD / "bits.bayesglm", strict=strict)


def test_a_pickle_with_an_exclusive_or_is_refused():
    with pytest.raises(ValueError, match=r"formula 'y ~ I\(z\^2\)': '\^' is not .* I\(z\*\*2\)"):
        pickle.loads((OLD / "bits.pickle").read_bytes())


def test_masks_are_judged_again(tmp_path):
    model = BayesianLinearRegression("y ~ np.where((x > 1) & b & (g == 'p'), 1, 0)", draws=20, chains=2).fit(
        FRAME
    )
    model.save(tmp_path / "model")
    for again in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict(FRAME), model.predict(FRAME))


# -- the response on the right -------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("formula", "where"),
    [
        ("y ~ x + y", "'y', where"),
        ("y ~ I(y**2)", r"'I\(y \*\* 2\)'"),
        ("y ~ x*np.abs(y)", r"'np.abs\(y\)', 'x:np.abs\(y\)'"),
        ("y ~ g:center(y)", r"'g:center\(y\)'"),
        ("y ~ x + Q('y')", r"Q\('y'\)"),
        ("Q('y') ~ x + y", "'y', where"),
        ("np.log(x) ~ z + x", "response 'np.log\\(x\\)' stands .* in 'x', where"),
        ("I(x - z) ~ x + g + z", r"response 'I\(x - z\)' stands .* in 'x', 'z', where"),
    ],
)
def test_the_response_explains_itself(formula, where, strict):
    with pytest.raises(
        ValueError, match=f"on the right side too, in .*{where}.*; leave it out|{where}.*leave it out"
    ):
        learn(formula, strict)


def test_a_change_explained_by_where_it_began():
    _, data = learn("I(x - z) ~ z")
    assert data.X.shape == (N, 1)


@pytest.mark.parametrize("kind", [pd.DataFrame, polars.DataFrame, dict])
def test_the_response_passed_by_itself(kind):
    frame = kind(FRAME[["x", "y", "z"]].to_dict("list"))
    for y in (FRAME["y"], FRAME[["y", "z"]], polars.Series("y", FRAME["y"].to_numpy())):
        with pytest.raises(
            ValueError, match=r"formula '~ x \+ y': the response 'y' stands on the right side too"
        ):
            FormulaDesign.learn("~ x + y", frame, y)
    with pytest.raises(ValueError, match="the response 'z' stands on the right"):
        FormulaDesign.learn("~ x + z", frame, FRAME[["y", "z"]])
    with pytest.raises(ValueError, match="the response 'y' stands on the right"):
        FormulaDesign.learn("y ~ x + y", frame, np.arange(N))
    # A series computed of a column keeps its name, and is another response.
    FormulaDesign.learn("~ x + z", frame, 2 * FRAME["x"] + FRAME["y"])
    for nameless in (FRAME["y"].to_numpy(), FRAME[["y", "z"]].to_numpy(), FRAME["y"].tolist()):
        FormulaDesign.learn("~ x + y", frame, nameless)


def test_classes_explain_themselves():
    with pytest.raises(ValueError, match="the response 'g' stands on the right side too, in 'g', where"):
        BayesianLogisticRegression("g ~ x + g").fit(FRAME)
    for frame in (FRAME, dict(FRAME), polars.DataFrame(FRAME[["x", "g"]].to_dict("list"))):
        with pytest.raises(
            ValueError, match="the response 'g' stands on the right side too, in 'g:x', where"
        ):
            BayesianLogisticRegression("~ g:x").fit(frame, FRAME["g"])
    BayesianLogisticRegression("~ x", draws=20, chains=2).fit(FRAME, FRAME["g"])
    with pytest.raises(ValueError, match="'g' is not a column of the frame"):
        BayesianLogisticRegression("~ g", draws=20, chains=2).fit(FRAME[["x"]], FRAME["g"])
