"""When the bar appears, what it shows and what it leaves behind."""

import io
import re
import sys
import types

import pytest

from bayesglm.inference import progress as module
from bayesglm.inference.progress import Progress


class Terminal(io.StringIO):
    """What a terminal is to the bar: a stream that says it is one."""

    def isatty(self):
        return True

    def screen(self):
        """The visible text: what was written after the last carriage return, over what was there."""
        line = ""
        for piece in self.getvalue().split("\r"):
            line = piece + line[len(piece) :]
        return line.rstrip()


class Clock:
    """Time that passes when told to."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


def set_stream(monkeypatch, stream):
    """Give the bar a standard error of its own; pytest has plans with the real one."""
    modules = {name: value for name, value in sys.modules.items() if name != "IPython"}
    monkeypatch.setattr(module, "sys", types.SimpleNamespace(stderr=stream, modules=modules))
    return stream


@pytest.fixture
def terminal(monkeypatch):
    return set_stream(monkeypatch, Terminal())


@pytest.fixture
def pipe(monkeypatch):
    return set_stream(monkeypatch, io.StringIO())


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


def drive(progress, clock, seconds, step=0.05, chains=2):
    """Sample for so many seconds, looking at the bar as the sampler does; 50 draws a second and chain."""
    progress.begin(chains)
    begin = clock.now
    while clock.now - begin < seconds - 1e-9:
        clock.now += step
        progress.update(int(50 * chains * (clock.now - begin)), 3)


def test_a_quick_fit_shows_nothing(terminal, clock):
    with Progress(1000, None) as progress:
        drive(progress, clock, module.PATIENCE - 0.1)
        assert not progress.visible
    assert terminal.getvalue() == ""


def test_a_bar_appears_when_a_fit_takes_long(terminal, clock):
    with Progress(200, None) as progress:
        drive(progress, clock, module.PATIENCE + 0.2)
        shown = terminal.screen()
        assert shown.startswith("sampling [")
        percent = int(re.search(r"(\d+) %", shown).group(1))
        assert 48 <= percent <= 56  # 50 of 200 draws a second, after about 2 seconds
        assert "divergences" in shown
        assert "3 divergences" in shown
        assert re.search(r", [12] s left", shown)
        bar = re.search(r"\[(#*)(\.*)\]", shown)
        assert len(bar.group(1)) + len(bar.group(2)) == module.WIDTH
        assert len(bar.group(1)) == pytest.approx(module.WIDTH * percent / 100, abs=1)
    assert terminal.screen() == ""
    assert "\n" not in terminal.getvalue()


def test_the_line_is_cleared_after_an_error(terminal, clock):
    def fail():
        with Progress(200, None) as progress:
            drive(progress, clock, 5.0)
            assert terminal.screen() != ""
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert terminal.screen() == ""


def test_nobody_watches_a_pipe(pipe, clock):
    with Progress(200, None) as progress:
        drive(progress, clock, 60.0)
    assert pipe.getvalue() == ""


def test_shown_when_asked_for(pipe, clock):
    with Progress(200, True) as progress:
        progress.begin(4)
        assert "divergences" in pipe.getvalue()
        assert "starting" in pipe.getvalue()
        drive(progress, clock, 1.0)
    assert pipe.getvalue().count("\r") > 3
    assert pipe.getvalue().split("\r")[-2].strip() == ""


def test_never_when_told_so(terminal, clock):
    with Progress(200, False) as progress:
        drive(progress, clock, 60.0)
    assert terminal.getvalue() == ""


def test_not_written_more_often_than_needed(terminal, clock):
    with Progress(1000, True) as progress:
        drive(progress, clock, 10.0, step=0.001)
        assert terminal.getvalue().count("\r") <= 2 + 10.0 / module.INTERVAL


def test_the_share_never_exceeds_the_whole(terminal, clock):
    with Progress(10, True) as progress:
        drive(progress, clock, 3.0)
        assert "100 %" in terminal.screen()
        assert "#" * module.WIDTH in terminal.screen()


def test_a_shorter_line_hides_a_longer_one(terminal, clock):
    with Progress(1000, True) as progress:
        progress.begin(1000)
        clock.now += 1
        progress.update(0, 123456)
        clock.now += 1
        progress.update(0, 1)
        assert "123456" not in terminal.screen()


def test_a_line_fits_a_terminal_of_80_columns(terminal, clock, monkeypatch):
    """A longer one wraps, and then every update scrolls the screen and the last one cannot be wiped out."""
    monkeypatch.setenv("COLUMNS", "80")
    with Progress(100_000, True) as progress:
        drive(progress, clock, 3.0)
    assert max(len(piece.rstrip("\n")) for piece in terminal.getvalue().split("\r")) < 80


def test_no_standard_error_at_all(monkeypatch, clock):
    """pythonw and some servers have none."""
    set_stream(monkeypatch, None)
    with Progress(200, None) as progress:
        drive(progress, clock, 5.0)


# -- notebooks ---------------------------------------------------------------------------------------------


def fake_ipython(monkeypatch, shell):
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    monkeypatch.setitem(module.sys.modules, "IPython", ipython)


def test_a_notebook_is_watched(pipe, clock, monkeypatch):
    fake_ipython(monkeypatch, type("ZMQInteractiveShell", (), {})())
    with Progress(200, None) as progress:
        drive(progress, clock, 3.0)
        assert "sampling [" in pipe.getvalue()
    assert pipe.getvalue().split("\r")[-2].strip() == ""


@pytest.mark.parametrize("shell", [None, type("TerminalInteractiveShell", (), {})()])
def test_ipython_elsewhere_is_no_notebook(pipe, clock, monkeypatch, shell):
    fake_ipython(monkeypatch, shell)
    with Progress(200, None) as progress:
        drive(progress, clock, 3.0)
    assert pipe.getvalue() == ""


def test_ipython_is_not_imported(pipe, clock, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)  # importing it would be an error
    with Progress(200, None) as progress:
        drive(progress, clock, 3.0)
    assert pipe.getvalue() == ""


def test_ipython_half_imported(pipe, clock, monkeypatch):
    monkeypatch.setitem(module.sys.modules, "IPython", None)
    with Progress(200, None) as progress:
        drive(progress, clock, 3.0)
    assert pipe.getvalue() == ""


def test_real_time_passes(terminal, monkeypatch):
    """The same with the clock on the wall and a run of the sampler."""
    import time

    import numpy as np

    from bayesglm.inference.sampling import Settings, run, seed_sequence
    from bayesglm.kernel.target import PyTarget

    def density(q):
        time.sleep(0.001)
        return -0.5 * q @ q, -q

    monkeypatch.setattr(module, "PATIENCE", 0.1)
    for shown, expected in ((None, True), (False, False)):
        before = len(terminal.getvalue())
        with Progress(40, shown) as progress:
            run(
                PyTarget(2, density),
                Settings(chains=2, draws=30, tune=10, n_threads=2),
                seed_sequence(np.random.default_rng(0)),
                known_scale=True,
                progress=progress,
            )
        assert (len(terminal.getvalue()) > before) == expected
    assert terminal.screen() == ""
