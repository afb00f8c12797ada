"""Further modes are found, chains start there; runs that fall a little short go on; a single chain is warned of."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from bayesglm import BayesianLinearRegression, BayesianRobustRegression, Flat, HalfNormal, Normal
from bayesglm.families import StudentT
from bayesglm.inference import sampling
from bayesglm.inference.family_priors import resolve_family
from bayesglm.inference.general_route import GeneralRoute
from bayesglm.inference.regression_data import regression_data
from bayesglm.inference.sampling import Settings, again, run, seed_sequence
from bayesglm.kernel.target import AffineTarget
from tests.target_cases import normal_target, z_scores

RNG = np.random.default_rng(3)
X = RNG.normal(size=(80, 2))
SIDE = np.where(np.arange(80) % 2, 1.0, -1.0)


def route(y, df=1.0, **priors):
    data = regression_data(X, y, StudentT(df=df))
    bound = resolve_family(data, ("a", "b"), {}, aux_priors={"sigma": HalfNormal(0.5)}, **priors)
    return GeneralRoute(data, bound), data, bound


def test_two_lines_are_two_modes_and_chains_jump_between_them():
    y = X @ [1.0, 0.0] + 20.0 * SIDE + 0.5 * RNG.normal(size=80)
    found, data, bound = route(y)
    levels = [fit.mode[0] * data.y_unit + data.y_mean for fit in (found.laplace, *found._others)]
    assert min(levels) == pytest.approx(-20.0, abs=0.5)
    assert max(levels) == pytest.approx(20.0, abs=0.5)
    posterior = found.sample(Settings(draws=400), 0, data, bound, ("a", "b"))
    assert posterior.how == "batch"
    signs = np.sign(posterior.draws["Intercept"])
    assert (np.abs(np.diff(signs, axis=1)) > 0.0).sum(axis=1).min() > 10
    assert posterior.diagnostics.rhat[0] < 1.02
    assert not posterior.remarks


def test_nuts_alone_starts_at_both():
    y = X @ [1.0, 0.0] + 20.0 * SIDE + 0.5 * RNG.normal(size=80)
    found, data, bound = route(y)
    found.sampler = "nuts"
    posterior = found.sample(Settings(draws=200, tune=100), 0, data, bound, ("a", "b"))
    assert posterior.how == "nuts"
    assert len(set(np.sign(posterior.draws["Intercept"][:, -1]))) == 2
    assert posterior.diagnostics.rhat[0] > 1.1


def test_slopes_of_two_groups_are_found_too():
    y = X[:, 0] * 10.0 * SIDE + 0.3 * RNG.normal(size=80)
    found, data, _ = route(y, prior=Normal(0.0, 20.0))
    assert len(found._others) >= 1
    slopes = [fit.mode[1] * data.y_unit / data.x_unit[0] for fit in (found.laplace, *found._others)]
    assert min(slopes) < -8.0
    assert max(slopes) > 8.0


def test_one_line_has_one_mode():
    y = X @ [1.0, 0.0] + 0.5 * RNG.normal(size=80)
    for df in (1.0, 4.0, None):
        assert not route(y, df=df)[0]._others


def test_a_slow_climb_is_not_taken_for_separated_data():
    rng = np.random.default_rng(11)
    y = np.where(np.arange(400) < 200, -6.0, 6.0) + rng.normal(size=400)
    model = BayesianRobustRegression(
        df=1.0, prior=Normal(0.0, 1e-3), intercept_prior=Flat(), draws=100, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rng.normal(size=(400, 1)), y)
    assert np.isfinite(model.intercept_)


def test_again_goes_on_and_tells_of_every_divergence(monkeypatch):
    target = AffineTarget(normal_target(3), np.zeros(3), np.diag([1.0, 3.0, 0.2]))
    settings = Settings(chains=2, draws=400)
    first = run(target, settings, seed_sequence(1), known_scale=False)
    advance = sampling._advance

    def one_diverges(*args, keep, **kwargs):
        draws, table = advance(*args, keep=keep, **kwargs)
        table[1, 5, sampling.STAT_NAMES.index("diverging")] = 1.0  # dropped: not a fourth draw
        return draws, table

    monkeypatch.setattr(sampling, "_advance", one_diverges)
    found = again(first, settings, seed_sequence(2))
    assert found.draws.shape == (2, 400, 3)
    assert found.tune == first.tune + 400 + sampling.TUNE_AGAIN
    assert found.stats["diverging"].sum() == sampling.THIN_AGAIN
    assert not found.stats["diverging"][0].any()
    assert np.abs(z_scores(found.target.unwhiten(found.draws), np.zeros(3))).max() < 4.5


def test_a_single_chain_is_warned_of_unless_the_answer_is_exact():
    y = X @ [1.0, 0.0] + 0.5 * RNG.normal(size=80)
    with pytest.warns(ConvergenceWarning, match="use chains=4"):
        BayesianLinearRegression(prior="laplace", chains=1, random_state=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BayesianLinearRegression(chains=1, random_state=0).fit(X, y)
