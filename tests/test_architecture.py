"""The shape of the package: who may import whom, what may be imported at all, how large files may be.

Three floors, and within each an order; imports are absolute and lead downwards only. A new module has to
be given its place in `ORDER`.
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bayesglm"
ROOT = PACKAGE.parent

#: From the top down; modules of one line do not import each other.
ORDER = [
    # estimators
    ["bayesglm"],
    ["bayesglm.model_file", "bayesglm.testing"],
    [
        "bayesglm.linear",
        "bayesglm.glm",
        "bayesglm.classification",
        "bayesglm.regressors",
        "bayesglm.metrics",
        "bayesglm.model_selection",
    ],
    ["bayesglm.composed_model"],
    ["bayesglm.base", "bayesglm.family_base", "bayesglm.leave_one_out"],
    ["bayesglm.family_access", "bayesglm.family_predictor"],
    ["bayesglm.saving", "bayesglm.fitting", "bayesglm.family_rows", "bayesglm.family_report"],
    ["bayesglm.family_model_data"],
    ["bayesglm.model_data"],
    ["bayesglm.parameter_data"],
    ["bayesglm.predictor", "bayesglm.posterior_access", "bayesglm.callbacks", "bayesglm.priors"],
    [
        "bayesglm.formula_data",
        "bayesglm.archive",
        "bayesglm.prior_data",
        "bayesglm.generator_data",
        "bayesglm.family_prediction",
    ],
    [
        "bayesglm.arviz_export",
        "bayesglm.calibration",
        "bayesglm.report",
        "bayesglm.crps",
        "bayesglm.formula",
    ],
    [
        "bayesglm.families",
        "bayesglm.family_quantiles",
        "bayesglm.row_arguments",
        "bayesglm.prediction",
        "bayesglm.composition",
        "bayesglm.formula_evaluation",
        "bayesglm.formula_response",
    ],
    [
        "bayesglm.formula_errors",
        "bayesglm.formula_splines",
        "bayesglm.formula_strict",
        "bayesglm.formula_state",
        "bayesglm.formula_transforms",
    ],
    ["bayesglm.formula_limits"],
    ["bayesglm.transformed_target"],
    ["bayesglm.validation"],
    ["bayesglm.mixture_quantiles", "bayesglm.formula_columns", "bayesglm.formula_masks"],
    [
        "bayesglm.formula_names",
        "bayesglm.formula_vocabulary",
        "bayesglm.parallel",
        "bayesglm.plain_data",
        "bayesglm.snapshot",
        "bayesglm.sparse_structure",
    ],
    ["bayesglm.hints", "bayesglm.argument_types"],
    ["bayesglm.formula_language"],
    ["bayesglm.formula_remedies"],
    ["bayesglm._version"],
    # inference
    ["bayesglm.inference.route", "bayesglm.inference.general_route"],
    ["bayesglm.inference.whitening", "bayesglm.inference.mode_shares"],
    ["bayesglm.inference.moving"],
    [
        "bayesglm.inference.posterior",
        "bayesglm.inference.general",
        "bayesglm.inference.shrinkage",
        "bayesglm.inference.collapsed",
        "bayesglm.inference.curvature",
        "bayesglm.inference.directions",
        "bayesglm.inference.fast_lane",
        "bayesglm.inference.modes",
        "bayesglm.inference.family_priors",
    ],
    ["bayesglm.inference.prior_set", "bayesglm.inference.exact", "bayesglm.inference.mixture"],
    [
        "bayesglm.inference.gaussian",
        "bayesglm.inference.sampling",
        "bayesglm.inference.prior_arguments",
        "bayesglm.inference.constant_sums",
    ],
    [
        "bayesglm.inference.quadrature",
        "bayesglm.inference.sufficient",
        "bayesglm.inference.diagnostics",
        "bayesglm.inference.progress",
        "bayesglm.inference.presets",
        "bayesglm.inference.laplace",
        "bayesglm.inference.pareto",
        "bayesglm.inference.regression_data",
    ],
    ["bayesglm.inference.moments", "bayesglm.inference.settled", "bayesglm.inference.contrasts"],
    ["bayesglm.inference.canonical", "bayesglm.inference.threads", "bayesglm.inference.caller"],
    ["bayesglm.inference"],
    # kernel
    ["bayesglm.kernel.sweep"],
    ["bayesglm.kernel.regression"],
    [
        "bayesglm.kernel.nuts",
        "bayesglm.kernel.gaussian",
        "bayesglm.kernel.collapsed",
        "bayesglm.kernel.moving",
        "bayesglm.kernel.autocovariance",
        "bayesglm.kernel.pareto",
    ],
    [
        "bayesglm.kernel.binary",
        "bayesglm.kernel.counts",
        "bayesglm.kernel.categorical",
        "bayesglm.kernel.continuous",
        "bayesglm.kernel.positive",
        "bayesglm.kernel.design",
    ],
    ["bayesglm.kernel.sparse_priors", "bayesglm.kernel._steep"],
    ["bayesglm.kernel.horseshoe", "bayesglm.kernel.shrinkage"],
    ["bayesglm.kernel.coefficient_maps"],
    ["bayesglm.kernel.positive_priors", "bayesglm.kernel.ranks", "bayesglm.kernel.hashes"],
    ["bayesglm.kernel.priors", "bayesglm.kernel.target", "bayesglm.kernel.family"],
    ["bayesglm.kernel._numeric", "bayesglm.kernel._dual_averaging", "bayesglm.kernel._blocks"],
    ["bayesglm.kernel._vector", "bayesglm.kernel._special"],
    ["bayesglm.kernel"],
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
HEAVY = {"pandas", "patsy", "arviz", "xarray", "matplotlib", "IPython", "polars", "narwhals", "ipywidgets"}
#: What the floors may take from outside, beside the standard library.
ALLOWED = {
    "kernel": {"numpy", "scipy", "cython", "libc", "cpython"},
    "inference": {"numpy", "scipy", "sklearn"},
    "estimators": {"numpy", "scipy", "sklearn", "joblib", "threadpoolctl"},
}

SOURCES = sorted(path for pattern in ("*.py", "*.pyx", "*.pxd", "*.pyi") for path in PACKAGE.rglob(pattern))
PYTHON = [path for path in SOURCES if path.suffix in (".py", ".pyi")]
CYTHON = [path for path in SOURCES if path.suffix in (".pyx", ".pxd")]

CYTHON_IMPORT = re.compile(
    r"^(\s*)(?:from\s+([\w.]+)\s+c?import\s+(.*)|c?import\s+([\w.]+)(?:\s+as\s+\w+)?)\s*(?:#.*)?$"
)


def show(path):
    return str(path.relative_to(ROOT))


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ("kernel", "inference") else "estimators"


def python_imports(path):
    """(module, names, level of relative import, whether at module level) of every import statement."""
    tree = ast.parse(path.read_text())
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inside.update(id(child) for child in ast.walk(node))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            inside.update(id(child) for child in ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, [], 0, id(node) not in inside
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", [alias.name for alias in node.names], node.level, id(node) not in inside


def cython_imports(path):
    text = re.sub(r'("""|\'\'\')(?:.|\n)*?\1', "", path.read_text())
    for line in text.splitlines():
        found = CYTHON_IMPORT.match(line)
        if found:
            indent, source, names, plain = found.groups()
            names = [name.split()[0] for name in re.findall(r"[\w ]+", names or "") if name.strip()]
            module = source or plain
            level = len(module) - len(module.lstrip("."))
            yield module.lstrip("."), names, level, not indent
        elif re.match(r"\s*(from\s+\.|cdef\s+extern\s+from\s+\"bayesglm)", line):
            raise AssertionError(f"{show(path)}: cannot read {line!r}")


def imports(path):
    yield from (python_imports if path in PYTHON else cython_imports)(path)


def own_imports(path):
    """Modules of this package that a file imports."""
    for module, names, _, _ in imports(path):
        if module.split(".")[0] == "bayesglm":
            submodules = [f"{module}.{name}" for name in names if f"{module}.{name}" in RANK]
            yield from submodules or [module]
    if path.suffix == ".pyx" and path.with_suffix(".pxd").exists():
        yield from own_imports(path.with_suffix(".pxd"))


def test_there_is_something_to_look_at():
    assert len(PYTHON) > 20
    assert len(CYTHON) > 10
    nuts = [module for module, *_ in imports(PACKAGE / "kernel" / "nuts.pyx")]
    assert "bayesglm.kernel.target" in nuts
    assert "numpy" in nuts
    assert "bayesglm.kernel._numeric" in nuts
    assert "bayesglm.inference.route" in set(own_imports(PACKAGE / "base.py"))


def test_every_module_has_its_place():
    modules = {module_of(path) for path in SOURCES}
    assert modules - set(RANK) == set(), "give the new module its place in ORDER"
    assert set(RANK) - modules == set(), "ORDER names a module that is gone"


@pytest.mark.parametrize("path", SOURCES, ids=show)
def test_imports_are_absolute(path):
    relative = [(module, names) for module, names, level, _ in imports(path) if level]
    assert not relative


@pytest.mark.parametrize("path", SOURCES, ids=show)
def test_imports_lead_downwards(path):
    module = module_of(path)
    for other in own_imports(path):
        if other != module:  # a .pyx and its .pxd are one module
            assert other in RANK, f"{module} imports {other}, which is no module"
            assert RANK[other] > RANK[module], f"{module} imports {other}, which is not below it"


@pytest.mark.parametrize("path", SOURCES, ids=show)
def test_floors_take_little_from_outside(path):
    allowed = ALLOWED[floor_of(module_of(path))] | {"bayesglm", "__future__"} | sys.stdlib_module_names
    outside = {module.split(".")[0] for module, _, _, at_top in imports(path) if at_top} - allowed
    assert not outside
    if floor_of(module_of(path)) == "kernel":
        anywhere = {module.split(".")[0] for module, *_ in imports(path)}
        assert not anywhere & {"sklearn", *HEAVY}


@pytest.mark.parametrize("path", SOURCES, ids=show)
def test_nothing_heavy_at_module_level(path):
    assert not {module.split(".")[0] for module, _, _, at_top in imports(path) if at_top} & HEAVY


# -- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path in SOURCES if path.suffix != ".pyi"], ids=show)
def test_the_first_line_says_what_a_module_is_for(path):
    first = path.read_text().split("\n", 1)[0]
    assert re.match(r'r?"""\S.{15,}', first), f"{show(path)} begins with {first!r}"


@pytest.mark.parametrize("path", SOURCES, ids=show)
def test_no_file_does_two_jobs(path):
    assert len(path.read_text().splitlines()) <= 450


def test_names_say_something():
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "core", "lib"}
    assert not {path.stem.strip("_") for path in PACKAGE.rglob("*")} & vague


@pytest.mark.parametrize("path", SOURCES, ids=show)
def test_sources_name_no_path_of_a_machine(path):
    assert not re.search(r"/work/|/tmp/|/home/|/root/", path.read_text())


def defined_names(path):
    """Public classes with their public methods, and public functions, of a stub."""
    out = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            members = {child.name for child in node.body if isinstance(child, ast.FunctionDef)}
            members |= {child.target.id for child in node.body if isinstance(child, ast.AnnAssign)}
            out[node.name] = members
        elif isinstance(node, ast.FunctionDef):
            out[node.name] = set()
        elif isinstance(node, ast.AnnAssign):
            out[node.target.id] = set()
    return out


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.pyx")), ids=show)
def test_stubs_describe_what_was_compiled(path):
    stub = path.with_suffix(".pyi")
    assert stub.exists(), f"{show(path)} has no stub: its classes would be untyped"
    module = __import__(module_of(path), fromlist=["_"])
    stubbed = defined_names(stub)
    for name, members in stubbed.items():
        assert hasattr(module, name), f"{show(stub)} describes {name}, which is gone"
        for member in members:
            assert hasattr(getattr(module, name), member), (
                f"{show(stub)} describes {name}.{member}, which is gone"
            )
    here = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }
    assert set(here) <= set(stubbed), f"{show(stub)} lacks {set(here) - set(stubbed)}"
    for name, value in here.items():
        if isinstance(value, type):
            public = {m for m in vars(value) if not m.startswith("_")}
            inherited = {m for base in value.__mro__[1:] for m in stubbed.get(base.__name__, ())}
            other = {m for base in value.__mro__[1:] for m in vars(base)}
            assert public - stubbed[name] - inherited - other == set(), (
                f"{show(stub)} lacks members of {name}"
            )


# -- what is imported when ----------------------------------------------------------------------------------


def modules_after(code):
    """Top-level modules that a new process has loaded after running ``code``."""
    code += "\nimport sys\nprint('\\n'.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return set(found.stdout.split())


ARRAYS = """
import numpy as np
from bayesglm import BayesianLinearRegression, Laplace
rng = np.random.default_rng(0)
X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
for prior in (None, Laplace(0, 1)):
    model = BayesianLinearRegression(prior=prior, draws=50, chains=2, random_state=0, progressbar=False)
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    model.predict(X, return_std=True)
    model.predict_interval(X)
    model.sample_predictive(X, 5)
    model.log_predictive_density(X, y)
    model.score(X, y)
    str(model.summary())
    model.summary()._repr_html_()
"""


def test_a_source_distribution_holds_what_the_kernels_are_built_from():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["bayesglm.kernel"]
    files = {path.suffix for path in (PACKAGE / "kernel").iterdir() if path.is_file()}
    made = {".py", ".c", ".so", ".pyd"}
    assert {f"*{suffix}" for suffix in files - made} <= set(patterns)
    assert "*.pyx" in patterns


@pytest.fixture(scope="module")
def loaded_by_sklearn():
    """scikit-learn 1.9 loads pandas and narwhals itself, where they are installed."""
    return modules_after("import sklearn.linear_model")


def test_importing_the_package_is_cheap(loaded_by_sklearn):
    added = modules_after("import bayesglm") - loaded_by_sklearn
    assert not added & HEAVY
    others = {name for name in added if not name.startswith("_cython_")}  # Cython's own, named by its version
    assert others - sys.stdlib_module_names <= {"bayesglm", "_cyutility", "cython"}


def test_fitting_arrays_loads_nothing_heavy(loaded_by_sklearn):
    assert not (modules_after(ARRAYS) - loaded_by_sklearn) & HEAVY


def test_fitting_arrays_needs_nothing_heavy():
    """The same where importing them is an error, even if it would be caught."""
    modules_after(
        "import sys\nfor name in ('patsy', 'arviz', 'xarray', 'matplotlib'): sys.modules[name] = None\n"
        + ARRAYS
    )


def test_the_probe_sees_what_is_loaded():
    assert {"numpy", "json"} <= modules_after("import numpy, json")
