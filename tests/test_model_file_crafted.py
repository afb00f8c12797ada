"""Files that claim to be models: refused in one sentence, or models that work; no code is run, nothing crashes."""

import copy
import functools
import sys
import warnings

import numpy as np
import pytest

from bayesglm import BayesianLinearRegression, archive, load, model_data
from bayesglm.generator_data import describe, restore
from tests.saved_models import fitted, rows_of

NAME = "BayesianLinearRegression"
TREES = ("frame", "laplace", "positive", "two responses", "mapping", "generator", "formula", "no intercept")


@functools.cache
def tree(name):
    return model_data.describe(fitted(name))


def loaded(data, tmp_path, kind=NAME, version=model_data.VERSION):
    archive.write(tmp_path / "model", data, kind, version)
    return load(tmp_path / "model")


def changed(data, path, value):
    """A copy with one entry replaced, or taken out."""
    data = copy.deepcopy(data)
    inner = data
    for step in path[:-1]:
        inner = inner[step]
    if value is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value(inner[path[-1]]) if callable(value) else value
    return data


GONE = object()


def refused(data, tmp_path, match=None, **options):
    with pytest.raises(ValueError, match=match) as caught:
        loaded(data, tmp_path, **options)
    assert str(caught.value).startswith(repr(str(tmp_path / "model")))
    assert "\n" not in str(caught.value)


PART = ("fit", "parts", 0)
PRIORS = (*PART, "priors")
BITS = (*PART, "generators", 0)


def entry(position, number):
    def change(values):
        values = values.copy()
        values[position] = number
        return values

    return change


CHANGES = [
    ((), "parameters", GONE),
    ((), "more", 1),
    (("parameters",), "alpha", 1),
    (("parameters",), "formula", "y ~ a"),
    (("parameters",), "formula", 3),
    (("parameters",), "formula", {"kind": "mapping", "value": {}}),
    (("parameters",), "prior", {"kind": "prior", "value": {"prior": "os.system", "parameters": {}}}),
    (("parameters",), "prior", {"kind": "prior", "value": {"prior": "normal", "parameters": {"loc": 0}}}),
    (("parameters",), "prior", {"kind": "prior", "value": {"prior": "flat", "parameters": {"scale": 0}}}),
    (("parameters",), "prior", {"kind": "code", "value": {}}),
    (("parameters",), "prior", {"kind": "mapping", "value": {"a": {"kind": "code", "value": {}}}}),
    (("parameters",), "prior", [1]),
    (("parameters",), "prior", np.ones(3)),
    (("parameters",), "formula_namespace", 1),
    (("parameters",), "formula_namespace", {"kind": "mapping", "value": {}}),
    (
        ("parameters",),
        "formula_namespace",
        {"kind": "namespace", "value": {"f": {"kind": "numpy", "value": "load"}}},
    ),
    (
        ("parameters",),
        "formula_namespace",
        {"kind": "namespace", "value": {"f": {"kind": "numpy", "value": "linalg.inv"}}},
    ),
    (("parameters",), "random_state", {"kind": "namespace", "value": {}}),
    (("parameters",), "random_state", {"kind": "generator", "value": {"name": "default_rng"}}),
    ((), "rows", None),
    ((), "rows", {}),
    (("rows",), "n_features", 4),
    (("rows",), "n_features", -1),
    (("rows",), "n_features", True),
    (("rows",), "factor", np.array(1.0)),
    (("rows",), "names", ["a", "b"]),
    (("rows",), "names", ["a", "b", 3]),
    (("rows",), "responses", []),
    (("rows",), "responses", [1]),
    (("rows",), "responses", ["y", "z"]),
    (("rows",), "joint", 1),
    (("rows",), "joint", GONE),
    (("rows",), "formula", {}),
    (("rows",), "n_rows", 0),
    (("rows",), "n_rows", 1 << 64),
    (("rows",), "n_rows", 3.0),
    (("rows",), "weight", 0.0),
    (("rows",), "weight", np.nan),
    (("rows",), "weight", np.inf),
    (("rows",), "mean", lambda values: values[:-1]),
    (("rows",), "mean", entry(0, np.nan)),
    (("rows",), "mean", lambda values: values.astype(np.float32)),
    (("rows",), "mean", None),
    (("rows",), "spread", lambda values: -values),
    (("rows",), "unit", lambda values: 0 * values),
    (("rows",), "unit", lambda values: 1e-200 * values),
    (("rows",), "factor", lambda values: values[:, :2]),
    (("rows",), "factor", lambda values: values[0]),
    (("rows",), "factor", entry((0, 1), np.inf)),
    (("rows",), "rotated", lambda values: values.T),
    (("rows",), "rss", lambda values: -values),
    (("rows",), "rss", lambda values: values.astype(np.int64)),
    (("rows",), "trusted", 1),
    ((), "fit", {}),
    ((), "fit", 1),
    (("fit",), "intercept", False),
    (("fit",), "intercept", 1),
    (("fit",), "precision", None),
    (("fit",), "parts", []),
    (("fit",), "parts", lambda parts: parts * 2),
    (("fit",), "parts", [1]),
    (("fit", "settings"), "chains", 3),
    (("fit", "settings"), "chains", 0),
    (("fit", "settings"), "draws", 1 << 70),
    (("fit", "settings"), "draws", 30.0),
    (("fit", "settings"), "tune", -1),
    (("fit", "settings"), "target_accept", 1.0),
    (("fit", "settings"), "max_treedepth", 0),
    (("fit", "settings"), "max_treedepth", 33),
    (("fit", "settings"), "jitter", 1.0),
    (("fit", "settings"), "n_threads", 0),
    (("fit", "settings"), "n_threads", 1000),
    (("fit", "settings"), "progressbar", 1),
    (("fit", "settings"), "other", 1),
    (PART, "draws", {}),
    ((*PART, "draws"), "coef", lambda values: values[:, :, :2]),
    ((*PART, "draws"), "coef", entry((0, 0, 0), np.nan)),
    ((*PART, "draws"), "Intercept", GONE),
    ((*PART, "draws"), "sigma", entry((0, 0), 0.0)),
    ((*PART, "draws"), "sigma", entry((0, 0), np.inf)),
    ((*PART, "draws"), "sigma", lambda values: values[:1]),
    ((*PART, "draws"), "sigma", lambda values: values.astype(complex).real.astype(np.float32)),
    ((*PART, "draws"), "more", np.zeros(3)),
    ((*PART, "stats"), "lp", GONE),
    ((*PART, "stats"), "lp", lambda values: values[0]),
    ((*PART, "stats"), "diverging", lambda values: values.astype(np.uint8)),
    ((*PART, "stats"), "tree_depth", lambda values: values.astype(np.int64)),
    ((*PART, "stats"), "tree_depth", lambda values: values + np.uint8(11)),
    ((*PART, "stats"), "n_steps", lambda values: -values),
    ((*PART, "stats"), "n_steps", entry((0, 0), 2**31 - 1)),
    (PART, "tune", -1),
    (PART, "entropy", -1),
    (PART, "entropy", [1, "a"]),
    (PART, "entropy", None),
    (PART, "seconds", -1.0),
    (PART, "seconds", np.nan),
    ((*PART, "diagnostics"), "rhat", GONE),
    ((*PART, "diagnostics"), "ess_bulk", lambda values: -values),
    ((*PART, "diagnostics"), "ess_bulk", lambda values: values[:-1]),
    (PART, "z_scores", None),
    (PART, "z_scores", lambda values: values[:-1]),
    (PART, "positions", lambda values: values[:1]),
    (PART, "positions", lambda values: values[:, :-1]),
    (PART, "positions", entry((0, 0), np.nan)),
    (PART, "step_sizes", lambda values: 0 * values),
    (PART, "step_sizes", entry(0, np.inf)),
    (PART, "step_sizes", lambda values: values[:1]),
    (PART, "generators", []),
    (PART, "generators", lambda states: states[:1]),
    (PART, "map", {"shift": np.zeros(5), "factor": np.eye(5)}),
    (BITS, "name", "PCG64"),
    (BITS, "name", "os.system"),
    (BITS, "name", ["PCG64DXSM"]),
    (BITS, "uinteger", 1 << 32),
    (BITS, "has_uint32", 2),
    (BITS, "state", {"state": 1, "inc": 2}),
    (BITS, "state", {"state": 1 << 128, "inc": 1}),
    (BITS, "state", {"state": -1, "inc": 1}),
    (BITS, "state", {"state": True, "inc": 1}),
    (BITS, "state", {"state": 1}),
    (BITS, "state", None),
    (PRIORS, "coef", []),
    (PRIORS, "coef", lambda priors: priors * 2),
    (PRIORS, "coef", [None]),
    (PRIORS, "intercept", None),
    (PRIORS, "centred", 1),
    (PRIORS, "exact_fit", None),
    ((*PRIORS, "coef", 0), "label", 1),
    ((*PRIORS, "coef", 0), "label", GONE),
    ((*PRIORS, "coef", 0), "prior", "JointPrior"),
    ((*PRIORS, "coef", 0), "index", np.array([0, 1, 3])),
    ((*PRIORS, "coef", 0), "index", np.array([0, 1, -1])),
    ((*PRIORS, "coef", 0), "index", np.array([0, 1, 1])),
    ((*PRIORS, "coef", 0), "index", np.array([0, 1])),
    ((*PRIORS, "coef", 0), "index", np.array(0)),
    ((*PRIORS, "coef", 0), "index", np.array([0.0, 1.0, 2.0])),
    ((*PRIORS, "coef", 0), "index", lambda values: values.astype(np.int32)),
    ((*PRIORS, "coef", 0), "loc", lambda values: values[:2]),
    ((*PRIORS, "coef", 0), "loc", entry(0, np.nan)),
    ((*PRIORS, "coef", 0), "scale", lambda values: -values),
    ((*PRIORS, "coef", 0), "scale", lambda values: 0 * values),
    ((*PRIORS, "coef", 0), "scale", lambda values: 1e100 * values),
    ((*PRIORS, "coef", 0), "truncated", True),
    ((*PRIORS, "coef", 0), "truncated", 0),
    ((*PRIORS, "coef", 0, "parameters"), "scale", "wide"),
    ((*PRIORS, "coef", 0, "parameters"), "scale", None),
    ((*PRIORS, "coef", 0, "parameters"), "scale", {"a": 1}),
    ((*PRIORS, "coef", 0, "parameters"), "autoscale", 3),
    ((*PRIORS, "intercept"), "index", np.array([1])),
    ((*PRIORS, "intercept"), "truncated", True),
    ((*PRIORS, "sigma"), "prior", "normal"),
    ((*PRIORS, "sigma"), "truncated", True),
    ((*PRIORS, "sigma"), "scale", np.ones(2)),
    ((*PRIORS, "sigma", "parameters"), "df", -1.0),
    ((*PRIORS, "sigma", "parameters"), "df", "4"),
    ((*PRIORS, "sigma", "parameters"), "df", GONE),
]


@pytest.mark.parametrize(("path", "key", "value"), CHANGES)
def test_what_no_model_has(path, key, value, tmp_path):
    loaded(tree("frame"), tmp_path)
    refused(changed(tree("frame"), (*path, key), value), tmp_path)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("laplace", (*PART, "map"), None),
        ("laplace", (*PART, "map", "factor"), lambda values: values[:2]),
        ("laplace", (*PART, "map", "factor"), entry((0, 0), np.nan)),
        ("laplace", (*PART, "map", "shift"), lambda values: values[:2]),
        ("laplace", (*PART, "z_scores"), np.zeros(5)),
        ("positive", (*PRIORS, "coef", 0, "truncated"), True),
        ("two responses", ("rows", "joint"), False),
        ("two responses", ("fit", "parts"), lambda parts: parts[:1]),
        ("formula", ("parameters", "formula"), None),
        ("formula", ("parameters", "formula"), "y ~ a"),
        ("formula", ("rows", "formula"), None),
        ("formula", ("rows", "formula", "formula"), "y ~ __import__('os').abort()"),
        ("formula", ("rows", "names"), None),
        ("laplace", ("rows", "n_features"), 2**70),
        ("laplace", ("rows", "factor"), np.array(1.0)),
        ("formula, intercept", ("rows", "formula", "intercept"), False),
        ("no intercept", ("fit", "intercept"), True),
        ("generator", ("parameters", "random_state", "value", "generator", "name"), "MT19937"),
        ("generator", ("parameters", "random_state", "value", "name"), "RandomState"),
        ("generator", ("parameters", "random_state", "value", "generator"), None),
    ],
)
def test_what_no_model_of_that_kind_has(name, path, value, tmp_path):
    loaded(tree(name), tmp_path)
    refused(changed(tree(name), path, value), tmp_path)


def test_kinds_and_versions(tmp_path):
    data = tree("frame")
    refused(data, tmp_path, "does not know", kind="Ridge")
    refused(data, tmp_path, "does not know", kind="BayesianRegressor")
    refused(data, tmp_path, "is newer than bayesglm.*upgrade", version=model_data.VERSION + 1)
    refused([1, 2], tmp_path, "must be a dict")
    refused(None, tmp_path, "must be a dict")
    model = BayesianLinearRegression.__new__(BayesianLinearRegression)
    with pytest.raises(ValueError, match="newer than"):  # what skops would hand over
        model.__setstate__({"plain_data": data, "version": 99, "written_by": "9.9"})


def test_parameters_that_a_file_is_too_old_to_have(tmp_path):
    model = loaded(changed(tree("frame"), ("parameters", "weights_type"), GONE), tmp_path)
    assert model.weights_type == "frequency"
    np.testing.assert_array_equal(model.predict(rows_of("frame")), fitted("frame").predict(rows_of("frame")))


def test_other_files(tmp_path):
    for content in (b"", b"PK\x03\x04", b"\x80\x04N.", b'{"format": "bayesglm"}', bytes(100)):
        (tmp_path / "model").write_bytes(content)
        with pytest.raises(ValueError, match="cannot be loaded") as caught:
            load(tmp_path / "model")
        assert str(caught.value).startswith(repr(str(tmp_path / "model")))
    fitted("formula").save(tmp_path / "model")
    whole = (tmp_path / "model").read_bytes()
    for end in (len(whole) - 1, len(whole) // 2, 40):
        (tmp_path / "model").write_bytes(whole[:end])
        with pytest.raises(ValueError, match="cannot be loaded"):
            load(tmp_path / "model")


def is_scipys(code):
    functions = {inner.co_name for inner in code.co_consts if hasattr(inner, "co_name")}
    return functions == {"_parse_args", "_parse_args_rvs", "_parse_args_stats"}


@pytest.mark.parametrize("name", ["mapping", "formula", "two responses", "generator"])
def test_no_code_is_run(name, tmp_path):
    """Python announces every piece of code that it runs, and everything that it imports or opens."""
    fitted(name).save(tmp_path / "model")
    load(tmp_path / "model").predict(rows_of(name))  # imports everything
    seen, watching = [], [True]

    def note(event, arguments):
        if watching[0] and event in (
            "exec",
            "import",
            "pickle.find_class",
            "marshal.loads",
            "open",
        ):
            seen.append((event, arguments))

    sys.addaudithook(note)
    model = load(tmp_path / "model")
    watching[0] = False
    opened = [arguments[0] for event, arguments in seen if event == "open"]
    assert opened == [str(tmp_path / "model")]
    others = [(event, arguments) for event, arguments in seen if event != "open"]
    # SciPy freezes a distribution by running a text of its own.
    assert [event for event, arguments in others if event != "exec" or not is_scipys(arguments[0])] == []
    watching[0] = True
    exec("1")
    watching[0] = False
    assert any(event == "exec" for event, _ in seen), "the hook sees code"
    assert model.posterior_ is not None


@pytest.mark.parametrize("kind", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_generators_give_the_same_numbers(kind):
    bits = getattr(np.random, kind)(12)
    np.random.Generator(bits).random(5, dtype=np.float32)  # half a word is left over
    again = restore(describe(bits), "it")
    assert type(again) is type(bits)
    np.testing.assert_array_equal(again.random_raw(2000), bits.random_raw(2000))


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        # NumPy would read beyond its buffer.
        ("MT19937", ("state", "pos"), 625),
        ("MT19937", ("state", "pos"), -1),
        ("MT19937", ("state", "key"), np.zeros(624, np.uint32)),
        ("MT19937", ("state", "key"), np.ones(623, np.uint32)),
        ("MT19937", ("state", "key"), np.ones(624, np.uint64)),
        ("MT19937", ("state",), {}),
        ("Philox", ("buffer_pos",), 5),
        ("Philox", ("buffer_pos",), -5),
        ("Philox", ("buffer",), np.zeros(3, np.uint64)),
        ("Philox", ("state", "counter"), np.zeros(1, np.uint64)),
        ("SFC64", ("state", "state"), np.zeros(4, np.int64)),
        ("PCG64", ("state", "inc"), 4),
        ("PCG64", ("more",), 4),
    ],
)
def test_generators_that_numpy_would_believe(kind, path, value):
    data = describe(getattr(np.random, kind)(12))
    with pytest.raises(ValueError, match=r"^('\w+' of )?it (must|has|lacks)"):
        restore(changed(data, path, value) if path != ("more",) else {**data, "more": value}, "it")


# -- chance ------------------------------------------------------------------------------------------------


def places(data, path=()):
    """Every entry of a tree."""
    items = (
        data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list | tuple) else ()
    )
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


ODD = [
    None,
    True,
    0,
    1,
    -1,
    3,
    2**31,
    2**70,
    0.0,
    0.5,
    -1.0,
    1e308,
    np.nan,
    np.inf,
    "",
    "a",
    "y ~ a",
    [],
    {},
    [1],
]


def mutated(data, rng):
    """A copy in which something is replaced, removed, added, moved, or another number."""
    data = copy.deepcopy(data)
    paths = list(places(data))
    for _ in range(int(rng.integers(1, 3))):
        *path, last = paths[rng.integers(len(paths))]
        inner = data
        try:
            for step in path:
                inner = inner[step]
            value = inner[last]
        except (KeyError, IndexError, TypeError):  # what the first change has removed
            continue
        if not isinstance(inner, dict | list):
            continue
        choice = rng.integers(6)
        if isinstance(value, np.ndarray) and value.size and choice < 4:
            value = value.copy()
            if choice == 0:
                value = value.reshape(-1)[: rng.integers(value.size)]
            elif choice == 1:
                value = value.astype(rng.choice(["f4", "f8", "i8", "u1", "?"]))
            elif value.dtype.kind == "f":
                numbers = [0.0, -1.0, 1e-300, 1e300, 1e10, 1e-10, np.nan, np.inf, 7.0]
                value.reshape(-1)[rng.integers(value.size)] = rng.choice(numbers)
            else:
                value.reshape(-1)[rng.integers(value.size)] ^= 1
            inner[last] = value
        elif choice == 4:
            del inner[last]
        elif choice == 5:
            *_, other = paths[rng.integers(len(paths))]
            inner[last] = other
        else:
            inner[last] = ODD[rng.integers(len(ODD))]
    return data


def works(model, X):
    """Whether a model answers, or refuses in the way that models do."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model.predict(X)
            str(model.summary())
            model.predict(X, return_std=True)
            model.predict_interval(X)
            model.sample_posterior(2)
            model.__sklearn_tags__()
            model.set_params(draws=2, chains=1, tune=5).partial_fit(
                X, None if model.formula else np.zeros((len(X), *model._shape))
            )
        except (ValueError, TypeError):
            return False
    return True


@pytest.mark.parametrize("name", TREES)
def test_any_change_is_refused_or_harmless(name):
    outcomes = attack(name, seed=0, size=60)
    assert outcomes["refused"] > 20
    assert outcomes["sentences"] == outcomes["refused"]


def attack(name, seed, size):
    """Load changed trees, use what is loaded, and count; any other error than ValueError comes through."""
    rng = np.random.default_rng([seed, TREES.index(name)])
    outcomes = {"refused": 0, "sentences": 0, "works": 0, "answers with an error": 0}
    for _ in range(size):
        model = BayesianLinearRegression.__new__(BayesianLinearRegression)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                model_data.restore(model, mutated(tree(name), rng))
        except ValueError as error:
            outcomes["refused"] += 1
            outcomes["sentences"] += "\n" not in str(error)
            continue
        outcomes["works" if works(model, rows_of(name)) else "answers with an error"] += 1
    return outcomes
