"""A learnt formula survives pickle, joblib, cloudpickle and deepcopy, small, in a fresh process as well."""

import copy
import io
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import patsy
import pytest

from bayesglm.formula import FormulaDesign

N = 80


@pytest.fixture
def frame():
    rng = np.random.default_rng(7)
    columns = {name: rng.uniform(0.1, 2, N) for name in ("y", "x", "z", "my y")}
    return pd.DataFrame(
        {
            **columns,
            "g": rng.choice(list("abc"), N),
            "k": rng.integers(0, 30, N),
            "cat": pd.Categorical(rng.choice(["u", "v"], N), categories=["w", "v", "u"]),
        }
    )


def learn(formula, frame, **options):
    return FormulaDesign.learn(formula, frame, **options)


def decade(x):
    return (x // 10).astype(int)


class Largest:
    """A stateful transform of a user's own."""

    def memorize_chunk(self, x):
        self.largest = max(getattr(self, "largest", -np.inf), np.max(x))

    def memorize_finish(self):
        pass

    def transform(self, x):
        return x / self.largest


relative = patsy.stateful_transform(Largest)


def test_user_functions_and_transforms(frame):
    namespace = {"decade": decade, "relative": relative, "knots": [0.5, 1.0], "unused": object()}
    design, data = learn("y ~ decade(k) + relative(x) + bs(z, knots=knots)", frame, namespace=namespace)
    np.testing.assert_array_equal(data.X[:, 1], frame["x"] / frame["x"].max())
    again = pickle.loads(pickle.dumps(design))
    np.testing.assert_array_equal(again.transform(frame.iloc[:9]), data.X[:9])


def test_local_functions_work_wherever_python_can_copy_them(frame):
    cloudpickle = pytest.importorskip("cloudpickle")
    design, data = learn("y ~ double(x)", frame, namespace={"double": lambda x: 2 * x})
    for again in (copy.deepcopy(design), pickle.loads(cloudpickle.dumps(design))):
        np.testing.assert_array_equal(again.transform(frame), data.X)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(design)


def test_pickle_is_small_and_without_data():
    rng = np.random.default_rng(0)
    n = 10_000
    big = {name: rng.uniform(1, 2, n) for name in "yxzw"} | {"g": rng.choice(list("abcd"), n)}
    formula = "y ~ standardize(x) + bs(z, df=6) + te(cr(w, df=4), cc(x, df=4)) + C(g, Sum):x + np.log(w)"
    design, data = learn(formula, big)
    assert len(pickle.dumps(design)) < 20_000
    file = io.BytesIO()
    joblib.dump(design, file)
    file.seek(0)
    np.testing.assert_array_equal(joblib.load(file).transform(big), data.X)
    assert pickle.dumps(pickle.loads(pickle.dumps(design))) == pickle.dumps(
        pickle.loads(pickle.dumps(design))
    )


def test_fresh_process(frame, tmp_path):
    """Unpickled at module level of a script, where others fail, beside variables of the same names."""
    formula = (
        "np.exp(y) ~ standardize(z) + bs(x, df=4) + te(cr(x, df=3), cc(z, df=3)) + C(g, Poly):center(x) "
        "+ cat + C(k) + I(np.sqrt(z)) + Q('my y') + shift(x, by)"
    )
    (tmp_path / "helpers.py").write_text("def shift(x, by):\n    return x + by\n")
    sys.path.insert(0, str(tmp_path))
    try:
        from helpers import shift

        design, data = learn(formula, frame, namespace={"shift": shift, "by": np.arange(3.0)[2]})
        (tmp_path / "design.pickle").write_bytes(pickle.dumps((design, frame)))
    finally:
        sys.path.remove(str(tmp_path))
    script = tmp_path / "script.py"
    script.write_text(
        "import pickle, sys\n"
        "x = z = g = cat = np = None\n"
        "design, frame = pickle.loads(open(sys.argv[1], 'rb').read())\n"
        "sys.stdout.buffer.write(design.transform(frame).tobytes() + design.response_of(frame).tobytes())\n"
    )
    search = os.pathsep.join([str(tmp_path), *(path for path in sys.path if path)])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "design.pickle")],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == data.X.tobytes() + data.y.tobytes()


def test_patsy_is_imported_late():
    # scikit-learn imports pandas by itself where it is installed.
    code = "import bayesglm.formula, sys; print([m for m in ('patsy', 'polars') if m in sys.modules])"
    search = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        check=True,
    )
    assert done.stdout.strip() == b"[]"
