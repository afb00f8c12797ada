"""Crafted model files, loaded in a process whose audit events are watched: all are refused, and nothing is run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile_files import TRACE


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile_files", str(folder)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / TRACE).exists()
    assert {path.name for path in folder.iterdir()} <= {"file", "saved"}
    assert not (root / TRACE).exists()
    return json.loads(done.stdout.splitlines()[-1])


def test_every_file_is_refused_in_a_sentence(outcomes):
    assert len(outcomes) > 45
    for name, (outcome, _) in outcomes.items():
        if name != "unpickled":
            assert outcome.startswith("refused: '"), (name, outcome)
            assert "cannot be loaded: " in outcome, (name, outcome)
            assert "\n" not in outcome, name
            assert len(outcome) < 1500, (name, outcome)


def test_nothing_is_run_imported_or_opened(outcomes):
    assert {name: events for name, (_, events) in outcomes.items() if events}.keys() == {"unpickled"}


def test_the_witness_notices_what_unpickling_does(outcomes):
    events = " ".join(outcomes["unpickled"][1])
    assert "pickle.find_class" in events
    assert "os.mkdir" in events
