"""Every block of Python on README and the pages of docs/ runs, and prints what the page shows.

Outputs are compared on Python 3.11 only, where the pages were written; elsewhere the blocks must run.
"""

import sys
from pathlib import Path

import pytest

from tests import page_runner

ROOT = Path(__file__).parents[1]
COMPARED = sys.version_info[:2] == (3, 11)

STORIES = [
    pytest.param(page.name, story, id=f"{page.name}:{story[0].line}")
    for page in page_runner.pages(ROOT)
    for story in page_runner.stories(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("name", "story"), STORIES)
def test_block_prints_what_its_page_shows(name, story, tmp_path, monkeypatch):
    if page_runner.missing(story):
        pytest.skip(f"needs {', '.join(page_runner.missing(story))}")
    monkeypatch.chdir(tmp_path)  # some save a model
    monkeypatch.setenv("MPLBACKEND", "Agg")
    if COMPARED:
        page_runner.check(story, name)
    else:
        page_runner.run(story, name)


@pytest.mark.parametrize("page", page_runner.pages(ROOT), ids=lambda page: page.name)
def test_languages_of_blocks_are_known(page):
    found = {fence["info"] for fence in page_runner.fences(page.read_text(encoding="utf-8"))}
    assert found <= page_runner.LANGUAGES


DRAWN = """
```python
import numpy as np
class Bayesian:
    def __init__(self, random_state): self.mean = np.random.default_rng(random_state).normal(5, 0.1)
print("mean", round(Bayesian(random_state=0).mean, 2), "of", 3.25, "in", "7 ms")
```

```text
mean {mean} of {exact} in 9 ms
```
"""


@pytest.mark.parametrize("mean", ["5.01", "5.15", "4.90"])  # seed 0 says 5.01
def test_drawn_numbers_may_be_those_of_other_seeds(mean):
    (story,) = page_runner.stories(DRAWN.format(mean=mean, exact="3.25"))
    page_runner.check(story, "page")


@pytest.mark.parametrize(
    ("mean", "exact", "reason"),
    [
        ("5.80", "3.25", "Monte Carlo error"),
        ("5.01", "3.26", "3.26 is exact"),
        ("5.01", "3.2", "3.2 is exact"),
    ],
)
def test_what_no_seed_would_print_is_found(mean, exact, reason):
    (story,) = page_runner.stories(DRAWN.format(mean=mean, exact=exact))
    with pytest.raises(AssertionError, match=reason):
        page_runner.check(story, "page")


def test_other_words_and_outputs_that_are_not_shown_are_found():
    (story,) = page_runner.stories(DRAWN.format(mean="5.01", exact="3.25").replace("mean 5", "median 5"))
    with pytest.raises(AssertionError, match="prints"):
        page_runner.check(story, "page")
    story[0].shown = None
    with pytest.raises(AssertionError, match="not shown"):
        page_runner.check(story, "page")


def test_warnings_are_part_of_what_is_printed():
    page = '```python\nimport warnings\nwarnings.warn("few rows")\nprint(1)\n```\n\n'
    page += "```text\nUserWarning: few rows\n1\n```\n"
    page_runner.check(page_runner.stories(page)[0], "page")


def test_blocks_run_alone_unless_they_say_that_they_continue():
    page = f"```python\nx = 1\n```\n```python\n{page_runner.CONTINUES}\nx += 1\n```\n```python\ny = 1\n```\n"
    first, second = page_runner.stories(page)
    assert page_runner.check(first, "page")["x"] == 2
    assert "x" not in page_runner.check(second, "page")
