"""The posterior as plain NumPy: names, order, units, size, and what it remembers of its making."""

import dataclasses
import pickle

import numpy as np
import pytest

from bayesglm.inference.diagnostics import diagnose
from bayesglm.inference.posterior import Posterior, parameter_names, stack
from bayesglm.inference.prior_set import resolve
from bayesglm.inference.route import Route
from bayesglm.inference.sampling import Settings
from bayesglm.inference.sufficient import summarize
from bayesglm.kernel.positive_priors import HalfNormal
from bayesglm.kernel.priors import Laplace, Normal

pytestmark = pytest.mark.filterwarnings("error")  # what a user would see of a fit

FEATURES = ("b", "a", "c")


def fitted(n=60, *, intercept=True, seed=0, settings=None, weights=False, **priors):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 3)) * [1e-3, 1.0, 1e3] + [0.0, 50.0, -1e4]
    y = 1e4 + X @ [2e3, -1.0, 5e-4] + rng.normal(size=n)
    w = rng.integers(0, 3, n).astype(float) if weights else None
    summary = summarize(X, y, w, intercept=intercept)
    bound = resolve(summary, FEATURES, {}, **priors)
    route = Route(summary, bound)
    settings = Settings(chains=3, draws=400) if settings is None else settings
    return route, route.sample(settings, seed, summary, bound, FEATURES)


@pytest.fixture(scope="module")
def diagonal():
    return fitted()


@pytest.fixture(scope="module")
def nuts():
    return fitted(prior=Laplace(0.0, 2.5, autoscale=True))


@pytest.fixture(params=["diagonal", "nuts"])
def either(request):
    return request.getfixturevalue(request.param)


# -- names and shapes -----------------------------------------------------------------------------------


def test_names():
    one, two = np.zeros((2, 3)), np.zeros((2, 3, 2))
    draws = {"Intercept": one, "coef": two, "sigma": one}
    assert parameter_names(draws, ("x", "y")) == ("Intercept", "x", "y", "sigma")
    assert parameter_names({"coef": two, "sigma": one}, ("x", "y")) == ("x", "y", "sigma")
    assert parameter_names({"Intercept": one, "coef": two[..., :0]}, ()) == ("Intercept",)


def test_names_of_classes_and_of_vectors_carry_their_labels():
    draws = {
        "Intercept": np.zeros((2, 3, 2)),
        "coef": np.zeros((2, 3, 2, 1)),
        "prior_scale": np.zeros((2, 3, 2)),
    }
    names = parameter_names(draws, ("x",), {"coef": ("b", "c"), "prior_scale": ("first", "second")})
    assert names == (
        "Intercept[b]", "Intercept[c]", "x[b]", "x[c]", "prior_scale[first]", "prior_scale[second]"
    )  # fmt: skip
    assert parameter_names({"coef": np.zeros((2, 3, 0)), "v": np.zeros((2, 3, 2))}, ()) == ("v[0]", "v[1]")


def test_draws_of_any_shape_are_stacked_in_the_order_of_their_names():
    rng = np.random.default_rng(0)
    draws = {
        "Intercept": rng.normal(size=(2, 3, 2)),
        "coef": rng.normal(size=(2, 3, 2, 4)),
        "phi": rng.normal(size=(2, 3)),
    }
    stacked = stack(draws)
    assert stacked.shape == (2 + 8 + 1, 2, 3)
    assert np.array_equal(stacked[1], draws["Intercept"][..., 1])
    assert np.array_equal(stacked[2 + 4 + 1], draws["coef"][..., 1, 1])
    assert np.array_equal(stacked[-1], draws["phi"])


def test_draws_by_name(either):
    posterior = either[1]
    assert posterior.names == ("Intercept", "b", "a", "c", "sigma")
    assert {name: values.shape for name, values in posterior.draws.items()} == {
        "Intercept": (3, 400),
        "coef": (3, 400, 3),
        "sigma": (3, 400),
    }
    assert all(values.dtype == np.float64 for values in posterior.draws.values())
    assert np.all(posterior.draws["sigma"] > 0)


def test_without_an_intercept():
    _, posterior = fitted(intercept=False)
    assert set(posterior.draws) == {"coef", "sigma"}
    assert posterior.names == (*FEATURES, "sigma")
    assert posterior.stacked().shape == (4, 3, 400)
    coef, intercept, sigma = posterior.flat()
    assert intercept == 0.0
    assert coef.shape == (1200, 3)
    assert sigma.shape == (1200,)
    np.testing.assert_array_equal(posterior.stacked()[0], posterior.draws["coef"][..., 0])


def test_stacked_has_the_order_of_the_names(either):
    posterior = either[1]
    stacked = posterior.stacked()
    assert stacked.shape == (5, 3, 400)
    np.testing.assert_array_equal(stacked[0], posterior.draws["Intercept"])
    for j in range(3):
        np.testing.assert_array_equal(stacked[1 + j], posterior.draws["coef"][..., j])
    np.testing.assert_array_equal(stacked[4], posterior.draws["sigma"])
    np.testing.assert_array_equal(stack(posterior.draws), stacked)


def test_flat_puts_chains_one_after_another(either):
    posterior = either[1]
    coef, intercept, sigma = posterior.flat()
    assert coef.shape == (1200, 3)
    for i in (0, 399, 400, 1199):
        chain, draw = divmod(i, 400)
        np.testing.assert_array_equal(coef[i], posterior.draws["coef"][chain, draw])
        assert intercept[i] == posterior.draws["Intercept"][chain, draw]
        assert sigma[i] == posterior.draws["sigma"][chain, draw]


def test_no_columns():
    summary = summarize(np.zeros((20, 0)), np.random.default_rng(0).normal(5, 2, 20))
    bound = resolve(summary, (), {})
    posterior = Route(summary, bound).sample(Settings(chains=2, draws=100), 0, summary, bound, ())
    assert posterior.draws["coef"].shape == (2, 100, 0)
    assert posterior.stacked().shape == (2, 2, 100)
    assert posterior.flat()[0].shape == (200, 0)
    assert posterior.names == ("Intercept", "sigma")


def test_repr_is_short(either):
    text = repr(either[1])
    assert text == f"Posterior(3 chains x 400 draws of 5 parameters, how={either[1].how!r}, 0 divergences)"


def test_cannot_be_changed(either):
    with pytest.raises(dataclasses.FrozenInstanceError):
        either[1].how = "magic"


# -- what it remembers ------------------------------------------------------------------------------------


def test_how_it_came_about(diagonal, nuts):
    assert diagonal[1].how == "diagonal"
    assert nuts[1].how == "nuts"
    assert diagonal[1].exact is not None
    assert nuts[1].exact is None
    assert nuts[1].z_scores is None
    for _, posterior in (diagonal, nuts):
        assert posterior.features == FEATURES
        assert posterior.settings == Settings(chains=3, draws=400)
        assert posterior.tune in (100, 400)
        assert 0 < posterior.seconds < 10
        assert posterior.n_rows == 60
        assert posterior.weight == 60.0
        assert [name for name, _ in posterior.priors] == [
            "Intercept (at the predictors' means)",
            *FEATURES,
            "sigma",
        ]
        assert posterior.n_divergences == posterior.stats["diverging"].sum() == 0


def test_weights_are_remembered():
    posterior = fitted(weights=True)[1]
    assert 0 < posterior.n_rows < 60
    assert posterior.weight > posterior.n_rows


def test_diagnostics_are_those_of_the_stacked_draws(either):
    posterior = either[1]
    again = diagnose(posterior.stacked())
    np.testing.assert_array_equal(posterior.diagnostics.rhat, again.rhat)
    np.testing.assert_array_equal(posterior.diagnostics.ess_bulk, again.ess_bulk)
    assert np.all(posterior.diagnostics.rhat < 1.02)


@pytest.mark.parametrize("seed", [0, 2**70, None])
def test_entropy_repeats_the_draws(seed):
    posterior = fitted(seed=seed)[1]
    again = fitted(seed=np.random.SeedSequence(posterior.entropy))[1]
    np.testing.assert_array_equal(posterior.draws["coef"], again.draws["coef"])


def test_threads_do_not_change_the_draws():
    one = fitted(settings=Settings(chains=3, draws=50, n_threads=1))[1]
    two = fitted(settings=Settings(chains=3, draws=50, n_threads=2))[1]
    for name, values in one.draws.items():
        np.testing.assert_array_equal(values, two.draws[name])


def test_small_when_pickled_and_without_the_data(either):
    posterior = either[1]
    text = pickle.dumps(posterior)
    numbers = sum(v.nbytes for v in (*posterior.draws.values(), *posterior.stats.values()))
    assert len(text) < numbers + 30_000
    again = pickle.loads(text)
    for name, values in posterior.draws.items():
        np.testing.assert_array_equal(values, again.draws[name])
    assert again.names == posterior.names
    assert again.settings == posterior.settings


def test_size_does_not_depend_on_the_number_of_rows():
    settings = Settings(chains=1, draws=10)
    small, large = (len(pickle.dumps(fitted(n, settings=settings)[1])) for n in (50, 50_000))
    assert abs(large - small) < 3000


# -- units ------------------------------------------------------------------------------------------------


def test_draws_are_in_the_users_units(diagonal):
    """Columns a million times apart, far offsets: means, sds and correlations as exact as Monte Carlo allows."""
    posterior = diagonal[1]
    assert np.all(np.abs(posterior.z_scores) < 4)
    stacked = posterior.stacked().reshape(5, -1)
    exact_sd = np.concatenate(
        [[posterior.exact.sd["Intercept"]], posterior.exact.sd["coef"], [posterior.exact.sd["sigma"]]]
    )
    np.testing.assert_allclose(stacked.std(axis=1) / exact_sd, 1.0, atol=0.12)
    # The line at the centre of the data is far better known than the intercept at zero.
    centre = np.array([0.0, 50.0, -1e4])
    line = posterior.draws["Intercept"] + posterior.draws["coef"] @ centre
    mean, sd = posterior.exact.moments(centre[np.newaxis])
    # That of the draws would not do: its Monte Carlo error is a third of the line's variance.
    noise = posterior.exact.mean["sigma"] ** 2 + posterior.exact.sd["sigma"] ** 2
    assert line.std() == pytest.approx(np.sqrt(sd[0] ** 2 - noise), rel=0.12)
    assert line.mean() == pytest.approx(mean[0], abs=5 * line.std() / np.sqrt(line.size))


def test_both_ways_agree(diagonal, nuts):
    """The Laplace prior is as weak as the normal one, so the two posteriors nearly coincide."""
    for name, values in diagonal[1].draws.items():
        other = nuts[1].draws[name]
        distance = np.abs(values.mean(axis=(0, 1)) - other.mean(axis=(0, 1)))
        assert np.all(distance < 0.25 * values.std(axis=(0, 1)))


def test_z_scores_are_those_of_the_means(diagonal):
    posterior = diagonal[1]
    exact = np.concatenate(
        [[posterior.exact.mean["Intercept"]], posterior.exact.mean["coef"], [posterior.exact.mean["sigma"]]]
    )
    distance = posterior.stacked().mean(axis=(1, 2)) - exact
    np.testing.assert_allclose(posterior.z_scores, distance / posterior.diagnostics.mcse_mean, rtol=1e-6)


# -- going on -----------------------------------------------------------------------------------------------


def test_more_draws(either):
    route, posterior = either
    before = posterior.stacked().copy()
    draws, stats = route.more(25, posterior.settings)
    assert {name: values.shape for name, values in draws.items()} == {
        "Intercept": (3, 25),
        "coef": (3, 25, 3),
        "sigma": (3, 25),
    }
    assert stats["lp"].shape == (3, 25)
    again, _ = route.more(25, posterior.settings)
    seeded, _ = route.more(25, posterior.settings, 5)
    for name, values in draws.items():
        np.testing.assert_array_equal(values, again[name])
        assert not np.any(values == seeded[name])
    np.testing.assert_array_equal(posterior.stacked(), before)


def test_more_draws_are_those_that_a_longer_run_would_have_made():
    short = fitted(settings=Settings(chains=2, draws=30))
    long = fitted(settings=Settings(chains=2, draws=50))[1]
    draws, _ = short[0].more(20, short[1].settings)
    for name, values in draws.items():
        np.testing.assert_array_equal(values, long.draws[name][:, 30:])


def test_a_route_goes_on_after_pickling(either):
    route, posterior = either
    again = pickle.loads(pickle.dumps(route))
    draws, _ = again.more(10, posterior.settings)
    expected, _ = route.more(10, posterior.settings)
    np.testing.assert_array_equal(draws["coef"], expected["coef"])


def test_positive_coefficients_are_positive_in_the_users_units():
    _, posterior = fitted(
        prior={"b": HalfNormal(2500.0), "a": Normal(0, 5.0)}, settings=Settings(chains=2, draws=200)
    )
    assert posterior.how == "nuts"
    assert np.all(posterior.draws["coef"][..., 0] > 0)
    assert posterior.draws["coef"][..., 0].mean() == pytest.approx(2000, rel=0.2)
    assert posterior.draws["coef"][..., 1].mean() == pytest.approx(-1.0, abs=0.5)


def test_every_field_is_documented():
    for field in dataclasses.fields(Posterior):
        assert field.name in Posterior.__doc__
