"""Files that somebody might craft to be loaded as models; run as a script it loads them and prints what happened.

python -m tests.hostile_files DIRECTORY

Prints a JSON object: for every file the refusal, or that it was loaded, and the audit events that no file may cause.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import bayesglm
from tests.audit import SCIPY_TEMPLATE, Witness, suspicious
from tests.saved_models import fitted, rows_of

#: What an attack would leave behind.
TRACE = "attacked"


class Attack:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder / TRACE),)


def members(name: str, folder: Path) -> dict[str, bytes]:
    """Return the members of a saved model."""
    path = folder / "saved"
    fitted(name).save(path)
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def zipped(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED, **more: bytes) -> bytes:
    """Return a zip of members."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, content in {**parts, **more}.items():
            archive.writestr(name, content)
    return made.getvalue()


def replaced(parts: dict[str, bytes], old: str, new: str) -> bytes:
    """Return a model in whose text something is replaced wherever it stands."""
    text = parts["model.json"].decode()
    assert old in text
    return zipped({**parts, "model.json": text.replace(old, new).encode()})


def header(description: str) -> bytes:
    """Return the header of an array."""
    text = description.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def crafted(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes."""
    attack = pickle.dumps(Attack(folder))
    arrays, formula = members("arrays", folder), members("formula", folder)
    whole = zipped(arrays)
    first = next(name for name in arrays if name.endswith(".npy"))
    text = arrays["model.json"].decode()
    objects = io.BytesIO()
    np.save(objects, np.array([Attack(folder)], dtype=object), allow_pickle=True)

    yield "nothing", b""
    yield "a pickle", attack
    yield "text", b"import os; os.mkdir('attacked')"
    for tenth in range(10):
        yield f"cut after {tenth} tenths", whole[: len(whole) * tenth // 10]
    yield "the last byte missing", whole[:-1]
    yield "a pickle for an array", zipped({**arrays, first: attack})
    yield "an array of objects", zipped({**arrays, first: objects.getvalue()})
    yield "a pickle beside", zipped({**arrays, "more.pkl": attack})
    yield (
        "an array of a thousand gigabytes",
        zipped(
            {**arrays, first: header("{'descr': '<f8', 'fortran_order': False, 'shape': (134217728000,), }")}
        ),
    )
    yield "a header that is code", zipped({**arrays, first: header("__import__('os').mkdir('attacked')")})
    yield (
        "a header of records",
        zipped(
            {
                **arrays,
                first: header("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }") + attack,
            }
        ),
    )
    for name in ("../a0.npy", "/tmp/a0.npy", "..\\a0.npy", "a0.npy/../../b", "C:/a0.npy", "a0.npy\0.pkl"):
        yield f"a member named {name!r}", zipped(arrays, **{name: arrays[first]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = io.BytesIO(whole)
        with zipfile.ZipFile(made, "a") as archive:
            archive.writestr("model.json", text)
    yield "a member twice", made.getvalue()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in arrays.items():
            archive.writestr(name, content)
        link = zipfile.ZipInfo("link.npy")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    yield "a link", made.getvalue()
    yield "a bomb", zipped({**arrays, first: bytes(200_000_000)}, zipfile.ZIP_DEFLATED)
    yield "compressed text", zipped(arrays, zipfile.ZIP_DEFLATED)
    for what, content in (
        ("deep text", "[" * 200_000 + "]" * 200_000),
        ("NaN", text.replace('"version":', '"more":NaN,"version":', 1)),
        ("infinity", text.replace('"version":', '"more":-Infinity,"version":', 1)),
        ("an entry twice", text.replace('"version":', '"kind":"BayesianGLM","version":', 1)),
        ("no text", "\x00\x01"),
        ("a huge integer", text.replace('"version":1', '"version":' + "9" * 5000, 1)),
        ("a newer format", text.replace('"format_version":1', '"format_version":2', 1)),
        ("a newer version", text.replace('"version":', '"version":9', 1)),
        ("another class", text.replace('"BayesianLinearRegression"', '"os.system"', 1)),
        ("a class of Python", text.replace('"BayesianLinearRegression"', '"__builtins__"', 1)),
    ):
        yield what, zipped({**arrays, "model.json": content.encode()})
    trace = (folder / TRACE).as_posix()
    for code in (
        f"__import__('os').mkdir('{trace}')",
        f"np.save('{trace}', c)",
        f"np.f2py.os.mkdir('{trace}')",
        "np.exp.__class__.__mro__",
        f"(lambda: open('{trace}', 'w'))()",
        "eval('open(1)')",
        "[].__class__.__base__.__subclasses__()",
        f"np.lib.format.os.mkdir('{trace}')",
        "np.loadtxt('/etc/passwd')",
        "a.to_pickle('attacked')",
    ):
        yield f"a formula with {code.replace(trace, 'x')}", replaced(formula, "np.exp(c)", code)


def main(folder: Path) -> None:
    """Load every file, and print what happened."""
    path = folder / "file"
    files = list(crafted(folder))
    for name in ("arrays", "formula"):  # what is imported late is imported now
        path.write_bytes(zipped(members(name, folder)))
        bayesglm.load(path).predict(rows_of(name))
    witness, found = Witness(), {}
    for name, content in files:
        path.write_bytes(content)
        with witness.watch() as events:
            try:
                outcome = type(bayesglm.load(path)).__name__
            except ValueError as error:
                outcome = f"refused: {error}"
        found[name] = outcome, suspicious(events, f"open ({str(path)!r}", SCIPY_TEMPLATE)
    # The witness itself: unpickling is noticed.
    with witness.watch() as events:
        pickle.loads(pickle.dumps(Attack(folder)))
    found["unpickled"] = "", suspicious(events)
    os.rmdir(folder / TRACE)
    print(json.dumps(found))


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(Path(sys.argv[1]))
