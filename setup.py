"""Build the Cython kernels: extensions by glob, portable flags, bounds checks and sanitizers on request.

``BAYESGLM_DEBUG=1 pip install -e .`` turns the checks of array bounds and initialisation on;
``BAYESGLM_SANITIZE=address,undefined`` builds with GCC's sanitizers of these names (tests/reliability/sanitize.sh
does both).
"""

import os
import sys
from glob import glob
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("BAYESGLM_DEBUG", "0") not in ("", "0")
SANITIZE = os.environ.get("BAYESGLM_SANITIZE", "")
WINDOWS = sys.platform == "win32"

# numpy's normal generator is linked statically, so that a wheel keeps its stream of random numbers
# whatever numpy it later meets (NEP 19 lets numpy change them).
NPYRANDOM = str(Path(numpy.__file__).parent / "random" / "lib")

# No -ffast-math (it deletes the NaN tests) and no contraction into fused multiply-adds (the tests
# compare the tree with a pure Python one bit for bit).
COMPILE_FLAGS = ["/O2"] if WINDOWS else ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]
if not (DEBUG or SANITIZE or WINDOWS):
    COMPILE_FLAGS += ["-g0"]  # symbols for debuggers, which Python's own flags ask for, are 30 of 37 MB

LINK_FLAGS = []
if SANITIZE:
    # Undefined behaviour ends the process as a bad access does, so that no test passes over it. Functions compiled
    # for several processors are chosen by the loader, where sanitized code cannot run yet: see _vector.h.
    COMPILE_FLAGS += [
        "-O1",
        "-g",
        "-fno-omit-frame-pointer",
        f"-fsanitize={SANITIZE}",
        "-fno-sanitize-recover=all",
    ]
    COMPILE_FLAGS += ["-DBAYESGLM_SANITIZE"]
    LINK_FLAGS = [f"-fsanitize={SANITIZE}"]

DIRECTIVES = {
    "language_level": 3,
    "freethreading_compatible": True,
    "embedsignature": True,
    "cdivision": True,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
}


# What Cython adds to every module that has memoryviews is compiled once, in a module of its own that it generates: a
# build takes half as long.
SHARED = "bayesglm/kernel/_cython_shared.c"


def dotted(source: str) -> str:
    """Return the name of the module that a source file becomes."""
    return source.rpartition(".")[0].replace("/", ".")


def extension(source: str) -> Extension:
    """Return the extension of one source file under its dotted name."""
    return Extension(
        dotted(source),
        [source],
        depends=sorted(glob("bayesglm/kernel/*.h")),
        include_dirs=[numpy.get_include(), "bayesglm/kernel"],
        library_dirs=[NPYRANDOM],
        libraries=["npyrandom"] if WINDOWS else ["npyrandom", "m"],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        extra_compile_args=COMPILE_FLAGS,
        extra_link_args=LINK_FLAGS,
    )


setup(
    ext_modules=cythonize(
        [extension(path) for path in [SHARED, *sorted(glob("bayesglm/kernel/*.pyx"))]],
        compiler_directives=DIRECTIVES,
        shared_utility_qualified_name=dotted(SHARED),
    ),
    options={"build_ext": {"parallel": os.cpu_count()}},
)
