"""How the performance scripts measure: calls in turn, medians, fresh processes; sections by name."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def times(calls: list[Callable[[], Any]], repeats: int) -> list[np.ndarray]:
    """Return the seconds of each call, made in turn ``repeats`` times after one that is not counted."""
    for call in calls:
        call()
    out = np.empty((len(calls), repeats))
    for r in range(repeats):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            out[i, r] = time.perf_counter() - start
    return list(out)


def milliseconds(seconds: np.ndarray) -> str:
    """Return the median, and the fastest in brackets."""
    return f"{1e3 * np.median(seconds):8.1f} ms ({1e3 * seconds.min():.1f})"


def in_fresh_process(code: str) -> str:
    """Return what a fresh interpreter prints; it starts in the repository's root.

    It may keep compiled bytecode, as an installed package has it: otherwise imports are measured with
    compiling every module.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, env=environment)
    return run.stdout


def run_sections(sections: list[Callable[[], None]]) -> None:
    """Run the sections whose names are on the command line, or all of them."""
    wanted = sys.argv[1:] or [section.__name__ for section in sections]
    for section in sections:
        if section.__name__ in wanted:
            section()
