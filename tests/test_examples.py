"""The examples run and draw the pictures they announce; README has its picture, commands and links."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bayesglm

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("script", "pictures"),
    [
        ("linear_regression.py", 2),
        ("diabetes.py", 1),
        ("choosing_a_prior_scale.py", 1),
        ("counts_and_classes.py", 1),
    ],
)
def test_example_runs_and_draws_its_pictures(script, pictures, tmp_path):
    from matplotlib.image import imread

    # The package that is tested here, wherever it lies, and nothing of the directory the tests run in.
    path = os.pathsep.join(
        filter(None, [str(Path(bayesglm.__file__).parents[1]), os.environ.get("PYTHONPATH")])
    )
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), "pictures"],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "ConvergenceWarning" not in done.stderr
    announced = re.findall(r"^picture: (.+)$", done.stdout, re.MULTILINE)
    assert len(announced) == pictures
    assert sorted(announced) == sorted(
        str(p.relative_to(tmp_path)) for p in tmp_path.glob("**/*") if p.is_file()
    )
    for name in announced:
        image = imread(tmp_path / name)
        assert min(image.shape[:2]) > 300
        assert image.std() > 0.02, f"{name} is blank"


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_example_is_short_and_says_what_one_learns(script):
    lines = script.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 120
    assert lines[0].startswith('"""Learn ')


def test_readme_shows_one_small_picture():
    (picture,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    content = (ROOT / picture).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert 10_000 < len(content) < 100_000


@pytest.mark.parametrize("name", ["main job", "tests"])
def test_readme_gives_the_command_that_ci_runs(name):
    (command,) = re.findall(rf"^<!-- ci: {name} -->\n```bash\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert "pip install" in command


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name
)
def test_links_within_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target
