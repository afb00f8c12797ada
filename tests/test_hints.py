"""What the estimators say to those who call them as another library's: one sentence, and scikit-learn's contracts."""

import inspect
import pickle
from typing import Any, Self, get_type_hints

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import bayesglm
from bayesglm import (
    BayesianGammaRegressor,
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
    Normal,
)
from bayesglm.model_file import ESTIMATORS

X = np.random.default_rng(0).normal(size=(30, 2))
Y = X[:, 0] + np.random.default_rng(1).normal(size=30)
EVERY = pytest.mark.parametrize("kind", ESTIMATORS.values(), ids=lambda kind: kind.__name__)
FEW = {"draws": 10, "chains": 1}


def sentence(text):
    return "\n" not in text and 20 < len(text) < 600


REFUSED = {
    "data": (lambda: BayesianLinearRegression(X, Y), TypeError, r"BayesianLinearRegression\(\)\.fit\(X, y\)"),
    "formula and data": (
        lambda: BayesianGLM("y ~ x", {"y": Y}),
        TypeError,
        r"BayesianGLM\('y ~ x'\)\.fit\(data\)",
    ),
    "alpha": (lambda: BayesianLinearRegression(alpha=1), TypeError, r"'alpha'.*prior_scale"),
    "C": (lambda: BayesianLogisticRegression(C=1.0), TypeError, r"'C'.*prior_scale"),
    "seed": (lambda: BayesianPoissonRegressor(seed=1), TypeError, "random_state"),
    "offset": (lambda: BayesianPoissonRegressor(offset="n"), TypeError, r"fit\(X, y, offset=\.\.\.\)"),
    "a letter": (lambda: BayesianGLM(prior_scales=1), TypeError, "did you mean prior_scale"),
    "nothing near": (lambda: BayesianGLM(wibble=1), TypeError, "'wibble': it takes formula, family"),
    "sigma_prior": (lambda: BayesianGLM(sigma_prior=1), TypeError, r"aux_priors=\{'sigma': \.\.\.\}"),
    "aux_priors": (lambda: BayesianLinearRegression(aux_priors={}), TypeError, r"sigma_prior=\.\.\."),
    "aux_priors, two": (
        lambda: BayesianRobustRegression(aux_priors={}),
        TypeError,
        r"sigma_prior=\.\.\. or df_prior",
    ),
    "aux_priors, none": (lambda: BayesianPoissonRegressor(aux_priors={}), TypeError, "leave it out"),
    "weights_type": (lambda: BayesianGLM(weights_type="precision"), TypeError, "BayesianLinearRegression"),
    "prior__scale": (
        lambda: BayesianLinearRegression().set_params(prior__scale=3),
        ValueError,
        r"prior=None .*prior_scale=3 or both, as in set_params\(prior=\.\.\., prior__scale=3\)",
    ),
    "sigma_prior__scale": (
        lambda: BayesianLinearRegression(sigma_prior="half_normal").set_params(sigma_prior__scale=3),
        ValueError,
        "sigma_prior='half_normal'",
    ),
    "a search": (
        lambda: GridSearchCV(BayesianLinearRegression(), {"prior__scale": [1.0]}).fit(X, Y),
        ValueError,
        r"prior=None .*prior_scale=1\.0",
    ),
    "argument of predict_interval": (
        lambda: BayesianLinearRegression().predict_interval(X, alpha=0.1),
        TypeError,
        r"^BayesianLinearRegression\.predict_interval\(\).*'alpha'; it takes X, coverage, kind",
    ),
    "argument of fit": (
        lambda: BayesianLinearRegression().fit(X, Y, offset=Y),
        TypeError,
        r"^BayesianLinearRegression\.fit\(\).*'offset'; it takes X, y, sample_weight",
    ),
    "argument of another fit": (
        lambda: BayesianPoissonRegressor().fit(X, Y, weights=Y),
        TypeError,
        r"^BayesianPoissonRegressor\.fit\(\).*'weights'",
    ),
    "gaussian": (
        lambda: BayesianLinearRegression(prior="gaussian").fit(X, Y),
        ValueError,
        "did you mean 'normal'",
    ),
    "Lasso": (
        lambda: BayesianLinearRegression(prior="Lasso").fit(X, Y),
        ValueError,
        "did you mean 'laplace'",
    ),
    "a number": (lambda: BayesianLinearRegression(prior=1.0).fit(X, Y), TypeError, r"prior_scale=1\.0\.$"),
    "link": (
        lambda: BayesianGLM(family="gamma", link="inverse").fit(X, np.exp(Y)),
        ValueError,
        r"link='inverse'.*Gamma family takes, but 'log': its mean is exp",
    ),
    "link of counts": (
        lambda: BayesianGLM(family="poisson", link="identity").fit(X, Y),
        ValueError,
        "'gaussian'",
    ),
    "link of labels": (
        lambda: BayesianGLM(family="bernoulli", link="log").fit(X, Y),
        ValueError,
        "'logit' or 'probit' or 'cloglog'",
    ),
    "one dimension": (
        lambda: BayesianLinearRegression().fit(X[:, 0], Y),
        ValueError,
        r"X has shape \(30,\).*Reshape your data: X\.reshape\(-1, 1\)",
    ),
    "one number": (lambda: BayesianPoissonRegressor().fit(3.0, [1.0]), ValueError, r"X has shape \(\)"),
    "no file": (lambda: bayesglm.load("nosuch.bayesglm"), FileNotFoundError, "no such file.*nosuch"),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_the_sentence_says_what_to_write(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert sentence(str(caught.value))


def test_one_row_of_one_dimension():
    model = BayesianLinearRegression(**FEW).fit(X, Y)
    with pytest.raises(ValueError, match=r"X has shape \(2,\)"):
        model.predict(X[0])


@EVERY
def test_what_there_is_elsewhere(kind):
    for owner in (kind, kind()):
        assert not hasattr(owner, "load")
        with pytest.raises(AttributeError, match=rf"^{kind.__name__} has no load: bayesglm\.load\(path\)"):
            _ = owner.load
        if kind is BayesianLinearRegression:
            assert callable(owner.partial_fit)
            continue
        assert not hasattr(owner, "partial_fit")
        with pytest.raises(
            AttributeError, match=rf"^{kind.__name__} has no partial_fit: .*BayesianLinearRegression"
        ):
            owner.partial_fit(X, Y)


@EVERY
def test_signatures_and_parameters_are_as_written(kind):
    names = list(inspect.signature(kind).parameters)
    assert names == list(inspect.signature(kind.__init__).parameters)[1:]
    assert names[0] == "formula"
    model = kind(random_state=3, draws=7)
    assert set(model.get_params(deep=False)) == set(names)
    for copy in (clone(model), pickle.loads(pickle.dumps(model))):
        assert copy.get_params() == model.get_params()
    assert set(vars(model)) == set(names)
    for method, typed in ((kind.fit, ("X", "y")), (kind.__init__, ("prior", "prior_scale", "random_state"))):
        hints = get_type_hints(method)
        assert all(hints[name] is not Any for name in typed)
    assert get_type_hints(kind.fit)["return"] is Self
    assert list(inspect.signature(kind.fit).parameters)[:4] == ["self", "X", "y", "sample_weight"]


def test_errors_of_ones_own_constructor_pass():
    class Mine(BayesianLinearRegression):
        def __init__(self, formula=None, *, draws=10):
            super().__init__(formula, draws=draws + 1)

    assert Mine(draws=3).draws == 4
    with pytest.raises(TypeError, match="unsupported operand"):
        Mine(draws=None)
    with pytest.raises(TypeError, match="Mine has no parameter 'chains'"):
        Mine(chains=2)


def test_type_errors_inside_methods_pass():
    model = BayesianLinearRegression(**FEW).fit(X, Y)
    with pytest.raises(TypeError, match=r"random_state|int|draws"):
        model.sample_predictive(X, draws="many")


def test_parameters_inside_a_prior_can_be_set_with_it():
    model = BayesianGammaRegressor().set_params(prior=Normal(), prior__scale=3)
    assert model.prior.get_params()["scale"] == 3
    assert model.set_params(prior__scale=4).prior.get_params()["scale"] == 4


@pytest.mark.parametrize("coverage", [1.0 - 1e-16, np.nextafter(1.0, 0.0)])
@pytest.mark.parametrize("kind", [BayesianLinearRegression, BayesianGLM])
def test_both_ends_of_all_there_is(kind, coverage):
    model = kind(draws=20, chains=1).fit(X, Y)
    assert np.array_equal(model.predict_interval(X[:2], coverage), [[-np.inf, np.inf]] * 2)
    nearly = model.predict_interval(X[:2], 1.0 - 2.3e-16)
    assert np.isfinite(nearly).all()


def test_names_of_the_package():
    shown = [name for name in dir(bayesglm) if not name.startswith("__")]
    modules = {"families", "metrics", "model_selection", "priors", "testing"}
    assert set(shown) == {name for name in bayesglm.__all__ if name != "__version__"} | modules
    assert all(hasattr(bayesglm, name) for name in dir(bayesglm))
