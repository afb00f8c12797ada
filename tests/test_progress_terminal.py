"""The progress bar at a terminal, in a notebook and elsewhere: by itself after two seconds, and only where seen."""

import io
import os
import re
import select
import signal
import sys
import threading
import time
import types
from contextlib import redirect_stderr

import numpy as np
import pytest

from bayesglm import BayesianLinearRegression
from bayesglm.inference import progress, sampling

pty = pytest.importorskip("pty")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BAR = r"\[[#.]{10,}\].*\d+ %.*divergences"


class Terminal:
    """A pseudo-terminal in the place of standard error."""

    def __init__(self):
        self.master, slave = pty.openpty()
        self.stderr = os.fdopen(slave, "w")

    def text(self):
        self.stderr.flush()
        data = b""
        while select.select([self.master], [], [], 0.05)[0]:
            data += os.read(self.master, 4096)
        return data.decode()

    def close(self):
        self.stderr.close()
        os.close(self.master)


@pytest.fixture
def terminal():
    terminal = Terminal()
    yield terminal
    terminal.close()


@pytest.fixture
def hurry(monkeypatch):
    """Waits of the bar a few times shorter, to save the tests' time."""
    monkeypatch.setattr(progress, "PATIENCE", 0.3)
    monkeypatch.setattr(progress, "INTERVAL", 0.05)


@pytest.fixture
def take(monkeypatch):
    """Makes the sampling take so many seconds, on any machine."""
    original = sampling._in_threads

    def set_seconds(seconds):
        def in_threads(work, chains, n_threads, bar):
            def wait_and_work(i):
                until = time.monotonic() + seconds
                while time.monotonic() < until and not stop.is_set():
                    time.sleep(0.01)
                work(i)

            original(wait_and_work, chains, len(chains), bar)

        monkeypatch.setattr(sampling, "_in_threads", in_threads)

    stop = threading.Event()
    set_seconds.stop = stop
    return set_seconds


def fit(stderr, **params):
    """Fit with this stream, a terminal or not, as standard error."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    model = BayesianLinearRegression(draws=50, random_state=0, **params)
    with redirect_stderr(stderr):
        return model.fit(X, X.sum(axis=1) + rng.normal(size=60))


def test_a_fit_of_more_than_two_seconds_shows_a_bar_at_a_terminal(terminal, take):
    assert progress.PATIENCE == 2.0
    take(2.5)
    fit(terminal.stderr)
    assert re.search(BAR, terminal.text())


def test_a_fit_of_less_than_two_seconds_shows_nothing(terminal, take):
    take(1.5)
    fit(terminal.stderr)
    assert terminal.text() == ""


def test_the_bar_is_wiped_at_the_end(terminal, hurry, take):
    take(0.6)
    fit(terminal.stderr)
    text = terminal.text()
    assert re.search(BAR, text)
    assert "\n" not in text
    assert text.endswith("\r")
    assert text.rsplit("\r", 2)[1].strip() == ""  # blanks over the bar: the prompt stands on a clean line
    assert max(len(line) for line in text.split("\r")) <= 100


def test_nothing_is_shown_where_nobody_watches(hurry, take):
    pipe = io.StringIO()
    take(0.6)
    fit(pipe)
    assert pipe.getvalue() == ""


def test_asked_for_it_is_shown_at_once_and_anywhere():
    pipe = io.StringIO()
    fit(pipe, progressbar=True)
    assert re.search(BAR, pipe.getvalue())


def test_forbidden_it_is_never_shown(terminal, hurry, take):
    take(0.6)
    fit(terminal.stderr, progressbar=False)
    assert terminal.text() == ""


def test_a_notebook_is_watched(hurry, take, monkeypatch):
    pipe = io.StringIO()
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    take(0.6)
    fit(pipe)
    assert re.search(BAR, pipe.getvalue())


def test_plain_ipython_without_a_shell_is_no_notebook(hurry, take, monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    take(0.6)
    fit(pipe)
    assert pipe.getvalue() == ""


@pytest.mark.parametrize("prior", [None, "laplace"])
def test_further_draws_show_it_too(terminal, hurry, take, prior):
    model = fit(terminal.stderr, prior=prior)
    assert terminal.text() == ""
    take(0.6)
    with redirect_stderr(terminal.stderr):
        model.sample_posterior(50)
    assert re.search(BAR, terminal.text())


def test_shares_rise_to_the_end_where_warm_up_comes_in_windows(terminal, hurry, take):
    take(0.4)
    fit(terminal.stderr, prior="cauchy", tune=200)
    shares = [int(share) for share in re.findall(r"(\d+) %", terminal.text())]
    assert shares == sorted(shares)


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt, which a shell's background jobs begin by ignoring."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_fit_leaves_a_clean_line(terminal, hurry, take):
    take(5.0)

    def press():
        take.stop.set()
        os.kill(os.getpid(), signal.SIGINT)

    # Twice, if need be: Python drops an interrupt that reaches it inside a destructor, as happened once among 5,000
    # tests that leave much to destroy.
    timers = [threading.Timer(seconds, press) for seconds in (0.7, 2.0)]
    for timer in timers:
        timer.start()
    with pytest.raises(KeyboardInterrupt):
        fit(terminal.stderr, tune=4_000_000)
    for timer in timers:
        timer.cancel()
        timer.join()
    text = terminal.text()
    assert re.search(BAR, text)
    assert text.rsplit("\r", 2)[1].strip() == ""


@pytest.mark.parametrize("progressbar", [None, True])
def test_a_process_without_standard_error_is_no_trouble(hurry, take, progressbar):  # as under pythonw
    take(0.6)
    assert fit(None, progressbar=progressbar).coef_.shape == (3,)
