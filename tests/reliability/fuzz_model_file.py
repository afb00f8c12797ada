"""Coverage-guided fuzzing of the loader of model files: files that atheris bends, from saved models of all kinds.

    pip install atheris        (a wheel for Python 3.11)
    python -m tests.reliability.fuzz_model_file --seconds 600 [--corpus DIRECTORY]

A file is bent in its bytes; or in its members, which are then put together again with the right checksums, so that what
lies behind the zip is reached: entries of the JSON, headers and numbers of the arrays, names, sizes, compression. Each
must be a model that predicts or refuses in a sentence, or a ValueError that begins with the file's name; within ten
seconds and 2 GiB, without any audit event of code that runs, imports, opens another file or starts something.
"""

from __future__ import annotations

import copy
import io
import json
import resource
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(
    include=["bayesglm.archive", "bayesglm.plain_data", "bayesglm.model_file", "bayesglm.model_data"]
):
    import bayesglm
    from bayesglm.model_file import ESTIMATORS

import numpy as np

from tests.audit import SCIPY_TEMPLATE, Witness, suspicious
from tests.fuzz_promises import expect, patience, place, refusal
from tests.reliability.atheris_options import options
from tests.saved_models import fitted, rows_of

NAMES = (
    "arrays",
    "laplace",
    "mapping",
    "positive",
    "two responses",
    "sparse",
    "generator",
    "formula",
    "no intercept",
)
FOLDER = Path(tempfile.mkdtemp())
PATH = FOLDER / "model"
ODD = [
    *(
        None,
        True,
        0,
        1,
        -1,
        2**31,
        2**63,
        2**70,
        0.5,
        -1.0,
        1e308,
        "",
        "a",
        "y ~ a",
        "y ~ x.__class__",
        [],
        {},
        [1],
    ),
    *(
        "../../etc/passwd",
        "os.system",
        "BayesianGLM",
        "a" * 70_000,
        [[[[]]]],
        {"kind": "array", "value": "a0"},
    ),
    *(
        {"kind": "numpy", "value": "f2py"},
        {"kind": "code", "value": "print"},
        float("nan"),
        "np.f2py",
        "__import__",
    ),
]
HEADERS = [
    *(
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f8', 'fortran_order': True, 'shape': (), }",
    ),
    *(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }",
        "__import__('os').system('true')",
    ),
    *(
        "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f8', 'shape': (-1,), }",
    ),
    *("{'descr': '<U4', 'fortran_order': False, 'shape': (2, 3), }", "(" * 200),
]
MEMBERS = [
    "model.json",
    "a0.npy",
    "a1.npy",
    "../a0.npy",
    "/etc/a0.npy",
    "a0.npy\0.txt",
    "C:\\a0.npy",
    "a0.pkl",
    "x/../a0.npy",
]


def saved() -> list[tuple[str, bytes, dict[str, bytes]]]:
    """Return names, bytes and members of the files to begin with."""
    found = []
    for name in NAMES:
        fitted(name).save(PATH)
        content = PATH.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found.append((name, content, {info.filename: archive.read(info) for info in archive.infolist()}))
    return found


def bend_bytes(data: Any, content: bytes) -> bytes:
    """Change, remove or add bytes."""
    changed = bytearray(content)
    for _ in range(data.ConsumeIntInRange(1, 4)):
        at = data.ConsumeIntInRange(0, max(len(changed) - 1, 0))
        kind = data.ConsumeIntInRange(0, 4)
        if kind == 0:
            changed[at : at + 1] = data.ConsumeBytes(1)
        elif kind == 1:
            del changed[at : at + data.ConsumeIntInRange(1, 64)]
        elif kind == 2:
            changed[at:at] = data.ConsumeBytes(8)
        elif kind == 3:
            del changed[at:]
        else:
            number = data.PickValueInList([0, 1, 255, 2**16 - 1, 2**31, 2**32 - 1])
            changed[at : at + 4] = number.to_bytes(4, "little")
    return bytes(changed)


def bend_json(data: Any, text: bytes) -> bytes:
    """Replace, remove, copy or rename an entry anywhere in the tree."""
    tree = json.loads(text)
    for _ in range(data.ConsumeIntInRange(1, 3)):
        inner: Any = tree
        for _ in range(data.ConsumeIntInRange(0, 12)):
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            if not keys:
                break
            key = keys[data.ConsumeIntInRange(0, len(keys) - 1)]
            if isinstance(inner[key], dict | list) and data.ConsumeIntInRange(0, 9):
                inner = inner[key]
                continue
            kind = data.ConsumeIntInRange(0, 4)
            if kind == 0:
                del inner[key]
            elif kind == 1:
                inner[key] = copy.deepcopy(inner[data.PickValueInList(keys)])
            elif kind == 2 and isinstance(inner, dict):
                inner[data.PickValueInList(["value", "kind", "formula", "data", "x"])] = inner.pop(key)
            elif kind == 3 and isinstance(inner[key], str):
                inner[key] = inner[key][: data.ConsumeIntInRange(0, 5)] + data.ConsumeUnicodeNoSurrogates(4)
            else:
                inner[key] = copy.deepcopy(data.PickValueInList(ODD))
            break
    return json.dumps(tree).encode()


def bend_array(data: Any, content: bytes) -> bytes:
    """Change an array's header, or its numbers."""
    if data.ConsumeBool():
        return bend_bytes(data, content)
    header = data.PickValueInList(HEADERS).encode() + b"\n"
    version = data.PickValueInList([b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"])
    size = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + size + header + content[128:]


def bend_members(data: Any, members: dict[str, bytes]) -> bytes:
    """Bend members and put them into a zip whose checksums are right."""
    entries = list(members.items())
    for _ in range(data.ConsumeIntInRange(1, 2)):
        i = data.ConsumeIntInRange(0, len(entries) - 1)
        name, content = entries[i] if data.ConsumeIntInRange(0, 2) else entries[0]
        kind = data.ConsumeIntInRange(0, 9)
        if kind <= 4 and name == "model.json":
            entries[0] = name, bend_json(data, members[name])
        elif kind <= 6:
            entries[i] = entries[i][0], bend_array(data, entries[i][1])
        elif kind == 7 and i:
            entries[i] = data.PickValueInList(MEMBERS), entries[i][1]
        elif kind == 8:
            entries.append((data.PickValueInList(MEMBERS), data.ConsumeBytes(40)))
        elif len(entries) > 1:
            del entries[i]
    made = io.BytesIO()
    compression = zipfile.ZIP_DEFLATED if data.ConsumeIntInRange(0, 19) == 0 else zipfile.ZIP_STORED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        with zipfile.ZipFile(made, "w", compression) as archive:
            for name, content in entries:
                archive.writestr(name, content)
    return made.getvalue()


BASES: list[tuple[str, bytes, dict[str, bytes]]] = []
WITNESS = Witness()
COUNTS: Counter[str] = Counter()
SEEN: Counter[str] = Counter()


def load(name: str) -> bool:
    """Load the file and return whether it was a model; raise if anything was not as promised."""
    refused: ValueError | None = None
    with WITNESS.watch() as events:
        try:
            model = bayesglm.load(PATH)
        except ValueError as error:
            refused = error
    found = suspicious(events, f"open ({str(PATH)!r}", SCIPY_TEMPLATE)
    expect(not found, f"events {found[:3]}")
    if refused is not None:
        expect(str(refused).startswith(f"{str(PATH)!r} cannot be loaded: "), f"no sentence: {refused}")
        expect("\n" not in str(refused) and len(str(refused)) < 2000, f"no sentence: {refused}")
        return False
    expect(type(model) in ESTIMATORS.values(), "no estimator")
    if hasattr(model, "posterior_"):
        try:
            with np.errstate(all="ignore"):
                found_rows = np.asarray(model.predict(rows_of(name)))
        except (ValueError, TypeError) as error:
            refusal(error)
        else:
            expect(len(found_rows) == rows_of(name).shape[0], "predictions of another length")
    return True


def test(raw: bytes) -> None:
    """Try one file."""
    data = atheris.FuzzedDataProvider(raw)
    name, content, members = BASES[data.ConsumeIntInRange(0, len(BASES) - 1)]
    bent = bend_bytes(data, content) if data.ConsumeIntInRange(0, 4) == 0 else bend_members(data, members)
    PATH.write_bytes(bent)
    COUNTS["files"] += 1
    try:
        with patience(10), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            COUNTS["loaded"] += load(name)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        key = f"{type(error).__name__} {place(error)}"
        SEEN[key] += 1
        if SEEN[key] <= 2:
            kept = FOLDER / f"finding-{sum(SEEN.values())}"
            kept.write_bytes(bent)
            print(f"\nFINDING {key}\n  {name}, kept as {kept}\n  {error!s:.500}", flush=True)
    if COUNTS["files"] % 20_000 == 0:
        print(f"\n{dict(COUNTS)}, failures {dict(SEEN)}", flush=True)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        BASES.extend(saved())
        for base, whole, _ in BASES:  # what is imported late is imported now
            PATH.write_bytes(whole)
            bayesglm.load(PATH).predict(rows_of(base))
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    atheris.Setup(options(__doc__, sys.argv), test)
    atheris.Fuzz()
