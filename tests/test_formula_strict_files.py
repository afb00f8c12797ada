"""Files whose formula is more than strict mode takes: refused when loaded, unless the caller trusts them."""

import numpy as np
import pytest

from bayesglm import BayesianLinearRegression, load
from tests.formula_cases import FRAME, NEW
from tests.test_formula_strict import SETTINGS

pytestmark = pytest.mark.filterwarnings("ignore")


def saved(formula, path, namespace=None, fit=True):
    model = BayesianLinearRegression(formula, formula_namespace=namespace, **SETTINGS)
    (model.fit(FRAME) if fit else model).save(path)
    return model


@pytest.mark.parametrize("fit", [True, False])
def test_files_are_strict_unless_trusted(fit, tmp_path):
    path = tmp_path / "model"
    model = saved("y ~ x.clip(0.5) + z", path, fit=fit)
    with pytest.raises(
        ValueError, match=r"cannot be loaded: .*'x.clip' in strict mode.*load\(path, strict=False\)"
    ):
        load(path)
    again = load(path, strict=False)
    assert again.formula == model.formula
    if fit:
        np.testing.assert_array_equal(again.predict(NEW), model.predict(NEW), strict=True)
    with pytest.raises((ValueError, TypeError), match="strict must be"):
        load(path, strict="no")


@pytest.mark.parametrize("fit", [True, False])
def test_files_with_known_functions(fit, tmp_path):
    path = tmp_path / "model"
    namespace = {"floor": np.floor, "unit": 2.0, "levels": ["b", "a", "c"]}
    model = saved(
        "np.log(y) ~ floor(3*x) + I(z*unit) + C(g, levels=levels) + Q('odd name')", path, namespace, fit
    )
    again = load(path)
    if fit:
        np.testing.assert_array_equal(again.predict(NEW), model.predict(NEW), strict=True)


@pytest.mark.parametrize("fit", [True, False])
def test_files_with_functions_that_are_not_known(fit, tmp_path):
    saved("y ~ f(x) + z", tmp_path / "model", {"f": np.flip}, fit)
    with pytest.raises(ValueError, match="function 'f' of formula_namespace is not one of the known"):
        load(tmp_path / "model")
    load(tmp_path / "model", strict=False)


def test_formulas_that_nobody_can_read_stay_as_they_are(tmp_path):
    saved("y ~ x +", tmp_path / "model", fit=False)
    assert load(tmp_path / "model").formula == "y ~ x +"
    saved("y ~ " + "+".join(["x"] * 30_000), tmp_path / "model", fit=False)
    with pytest.raises(ValueError, match=r"characters, and strict mode reads .*strict=False"):
        load(tmp_path / "model")


def test_text_in_an_unfitted_file_is_judged_at_fit(tmp_path):
    """No kinds of columns are known before there are data."""
    BayesianLinearRegression("y ~ I(g * 3)", formula_strict=True, **SETTINGS).save(tmp_path / "model")
    model = load(tmp_path / "model")
    assert model.formula_strict is True
    with pytest.raises(ValueError, match="operators go with numbers only"):
        model.fit(FRAME)
