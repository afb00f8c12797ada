"""The examples run and draw the pictures they announce; README's code prints what README says."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bayesglm

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: How many numbers at the start of a row of the summary owe nothing to the draws: mean, sd, interval.
EXACT_COLUMNS = 4


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


def test_readme_prints_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it saves a model
    blocks = FENCE.findall(README)
    namespace: dict = {}
    compared = 0
    for (language, code), (following, expected) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), namespace)  # our own file
        if following == "text":
            assert comparable(printed.getvalue()) == comparable(expected)
            compared += 1
    assert compared == 4
    assert (tmp_path / "diabetes.bayesglm").exists()


@pytest.mark.filterwarnings("ignore:PSIS-LOO is not reliable")
def test_page_on_prior_scales_prints_what_it_says():
    # Importance weights follow the draws, which depend on the machine.
    namespace = run_page("choosing-a-prior-scale.md", n_blocks=2, rel=0.03, abs=0.5)
    assert max(namespace["by_loo"].results_["n_bad"]) in range(3, 12)


def test_page_on_scikit_learn_prints_what_it_says():
    run_page("scikit-learn.md", n_blocks=6, rel=0.01, abs=0.011)


def test_page_on_other_responses_prints_what_it_says():
    run_page("families.md", n_blocks=1, rel=0.01, abs=0.011)


def run_page(name, n_blocks, **tolerance):
    """Run a page's blocks of Python, each followed by what it prints, and return the names they have made."""
    blocks = FENCE.findall((ROOT / "docs" / name).read_text(encoding="utf-8"))
    assert [language for language, _ in blocks] == ["python", "text"] * n_blocks
    namespace: dict = {}
    for (_, code), (_, expected) in zip(blocks[::2], blocks[1::2], strict=True):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, name, "exec"), namespace)  # our own file
        found, said = (re.split(r"(-?\d+\.\d*)", text.strip()) for text in (printed.getvalue(), expected))
        assert [words.split() for words in found[::2]] == [words.split() for words in said[::2]]
        assert list(map(float, found[1::2])) == pytest.approx(list(map(float, said[1::2])), **tolerance)
    return namespace


def comparable(text):
    """Return the lines of an output without what depends on the machine: times, and the last digits of draws.

    Draws are nearly always the same for the same seed on another machine too, but that is not promised.
    """
    lines = []
    in_table = False
    for line in text.rstrip().splitlines():
        words = re.sub(r"\d+ ms", "... ms", line.rstrip()).split()
        in_table = (in_table or words[:2] == ["mean", "sd"]) and bool(words)
        if in_table and words[0] != "mean":
            assert all(re.fullmatch(r"[-+]?[\d.]+(e-?\d+)?", word) for word in words[1 + EXACT_COLUMNS :])
            words = words[: 1 + EXACT_COLUMNS]
        lines.append(words)
    return lines


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
