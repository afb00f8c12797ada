"""Run the blocks of Python on a page of the documentation, and compare what they print with what the page shows.

A block of Python runs by itself, as somebody would paste it, unless its first line is `CONTINUES`: then it goes on
where the block before it stopped. A block of text after it shows what is printed, warnings first. Words must be equal.
Numbers must be equal in every digit that is shown, unless they hang on the draws; those may differ by as much as other
seeds make them differ.
"""

import ast
import contextlib
import importlib.util
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

CONTINUES = "# continues the block above"
FENCE = re.compile(
    r"^ *(?:<!-- needs (?P<needs>[\w., ]+)(?P<hidden>; not shown)? -->\n *)?"
    r"```(?P<info>[^\n]*)\n(?P<text>.*?)^ *```$",
    re.M | re.S,
)
LANGUAGES = {"python", "text", "r", "bash", ""}
NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?")
TIME = re.compile(r"\d+(?:\.\d+)? m?s\b")
#: How many other seeds tell the Monte Carlo error of a number, and how many of these errors it may be off.
N_SEEDS = 6
N_ERRORS = 4
#: Functions that draw besides the estimators, whose names begin with "Bayesian".
SEEDED = {"simulation_based_calibration", "predictive_coverage", "sample_posterior", "sample_predictive"}


@dataclass
class Block:
    """Code, the line of the page where it begins, the output that the page shows (None: nothing), modules it needs.

    The output of a ``hidden`` block, such as a progress bar, is on no page.
    """

    code: str
    line: int
    shown: str | None = None
    needs: list[str] = field(default_factory=list)
    hidden: bool = False


def fences(page: str) -> Iterator[re.Match]:
    """Yield the fenced blocks of a page, of any language."""
    return FENCE.finditer(page)


def stories(page: str) -> list[list[Block]]:
    """Return the page's runs of blocks that go on one from another."""
    found: list[list[Block]] = []
    previous = ""
    for fence in fences(page):
        text = _dedented(fence["text"])
        if fence["info"] == "python":
            needs = fence["needs"].split(", ") if fence["needs"] else []
            block = Block(
                text, page[: fence.start("text")].count("\n") + 1, None, needs, bool(fence["hidden"])
            )
            if text.startswith(CONTINUES):
                found[-1].append(block)
            else:
                found.append([block])
        elif fence["info"] == "text" and previous == "python":
            found[-1][-1].shown = text
        previous = fence["info"]
    return found


def _dedented(text: str) -> str:
    margin = min((len(line) - len(line.lstrip()) for line in text.splitlines() if line.strip()), default=0)
    return "".join(line[margin:] for line in text.splitlines(keepends=True))


def run(story: list[Block], name: str, seed: int | None = None) -> tuple[list[str], dict[str, Any]]:
    """Return what each block of a story prints, and the names they leave.

    Parameters
    ----------
    seed : int, optional
        Takes the place of the seeds of estimators, not of those that made the data or the folds.
    """
    namespace: dict[str, Any] = {"__name__": "page"}
    outputs = []
    for block in story:
        tree = ast.parse("\n" * (block.line - 1) + block.code, name)
        if seed is not None:
            tree = ast.fix_missing_locations(_OtherSeed(seed).visit(tree))
        printed = io.StringIO()
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
            warnings.simplefilter("default")
            exec(compile(tree, name, "exec"), namespace)  # our own page
        said = [
            f"{w.category.__name__}: {w.message}\n" for w in caught if issubclass(w.category, UserWarning)
        ]
        outputs.append("" if block.hidden else "".join(said) + printed.getvalue())
    return outputs, namespace


class _OtherSeed(ast.NodeTransformer):
    """Give every call that draws another ``random_state``."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name.startswith("Bayesian") or name in SEEDED:
            node.keywords = [k for k in node.keywords if k.arg != "random_state"]
            node.keywords.append(ast.keyword("random_state", ast.Constant(self.seed)))
        return node


def missing(story: list[Block]) -> list[str]:
    """Return the modules which a story needs (``<!-- needs rich -->``) and which are not installed."""
    return [name for block in story for name in block.needs if importlib.util.find_spec(name) is None]


def check(story: list[Block], name: str) -> dict[str, Any]:
    """Assert that a story prints what its page shows, and return the names it leaves."""
    outputs, namespace = run(story, name)
    for block, printed in zip(story, outputs, strict=True):
        assert block.shown is not None or not printed.strip(), (
            f"{name}, line {block.line}: not shown: {printed}"
        )
    if not all(
        numbers(printed) == numbers(block.shown or "") for block, printed in zip(story, outputs, strict=True)
    ):
        others = [run(story, name, seed)[0] for seed in range(1000, 1000 + N_SEEDS)]
        for i, block in enumerate(story):
            compare(
                block.shown or "", outputs[i], [other[i] for other in others], f"{name}, line {block.line}"
            )
    else:
        for block, printed in zip(story, outputs, strict=True):
            compare(block.shown or "", printed, [], f"{name}, line {block.line}")
    return namespace


def words(text: str) -> list[str]:
    """Return what stands between the numbers of an output, times left out."""
    return [" ".join(piece.split()) for piece in NUMBER.split(TIME.sub("(time)", text))]


def numbers(text: str) -> list[str]:
    """Return the numbers of an output as they are written, times left out."""
    return NUMBER.findall(TIME.sub("(time)", text))


def compare(shown: str, printed: str, others: list[str], where: str) -> None:
    """Assert that an output is the one shown, given the outputs of other seeds.

    A number that other seeds leave alone is exact, and equal in all its digits. One that they move is within
    `N_ERRORS` of its Monte Carlo errors, which the spread over seeds estimates, and one digit for rounding.
    """
    assert words(printed) == words(shown), f"{where} prints:\n{printed}"
    alike = [numbers(other) for other in others if len(numbers(other)) == len(numbers(shown))]
    for i, (found, said) in enumerate(zip(numbers(printed), numbers(shown), strict=True)):
        if found == said:
            continue
        drawn = {other[i] for other in alike} | {found}
        assert len(drawn) > 1, f"{where}: {said} is exact, and {found}:\n{printed}"
        error = float(np.std([float(other[i]) for other in alike], ddof=1))
        assert abs(float(found) - float(said)) <= N_ERRORS * error + _digit(said), (
            f"{where}: {found} instead of {said}, Monte Carlo error {error:.2g}:\n{printed}"
        )


def _digit(number: str) -> float:
    """Return one unit of the last digit that a number shows."""
    mantissa, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def pages(root: Path) -> list[Path]:
    """Return README and the pages of the documentation."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]
