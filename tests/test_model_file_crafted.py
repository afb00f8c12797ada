"""Files that claim to be models: refused in one sentence, or models that work; no code is run, nothing crashes."""

import copy
import functools
import sys

import numpy as np
import pytest

from bayesglm import BayesianLinearRegression, archive, load, model_data
from tests.saved_models import fitted, rows_of

NAME = "BayesianLinearRegression"


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
    ((*PRIORS, "aux", "sigma"), "prior", "normal"),
    ((*PRIORS, "aux", "sigma"), "truncated", True),
    ((*PRIORS, "aux", "sigma"), "scale", np.ones(2)),
    ((*PRIORS, "aux", "sigma", "parameters"), "df", -1.0),
    ((*PRIORS, "aux", "sigma", "parameters"), "df", "4"),
    ((*PRIORS, "aux", "sigma", "parameters"), "df", GONE),
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
