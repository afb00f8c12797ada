"""A progress bar that appears by itself when something takes long and somebody is watching."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

#: Seconds after which a bar appears by itself.
PATIENCE = 2.0
#: Seconds between two updates.
INTERVAL = 0.2
#: Of the bar, and of the whole line: a terminal has at least 80 columns.
WIDTH = 24
COLUMNS = 79


class Progress:
    """A one-line bar on standard error; a context manager, which leaves the line clean behind it.

    Parameters
    ----------
    total : int
        Draws a chain, warm-up included; or whatever else is to be done.
    shown : bool or None
        True: from the start; False: never; None: after two seconds, at a terminal or in a notebook.
    listener : callable, optional
        Told the share that is done, from 0 to 1, whether or not there is a bar.
    doing : str, default="sampling"
        What is being done.
    """

    def __init__(
        self,
        total: int,
        shown: bool | None,
        listener: Callable[[float], None] | None = None,
        doing: str = "sampling",
    ):
        self.listener = listener
        self.doing = doing
        self.total = total
        self.shown = shown
        self.started = time.monotonic()
        self.last = -1.0
        self.visible = False
        self.chains = 1

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.visible:
            _write("\r" + " " * COLUMNS + "\r")
        if self.listener is not None and kind is None:
            self.listener(1.0)

    def begin(self, chains: int, divergences: int | None = 0) -> None:
        """Say how many chains there are, and whether they count divergences."""
        self.chains = chains
        if self.shown:
            self._write(0, divergences, 0.0)

    def update(self, done: int, divergences: int | None = None) -> None:
        """Say how many draws all chains have made since they were started, or how much of something else is done."""
        if self.listener is not None:
            self.listener(self._share(done))
        elapsed = time.monotonic() - self.started
        if self.shown is False or elapsed - self.last < INTERVAL:
            return
        if not self.visible and not self.shown and (elapsed < PATIENCE or not _is_watched()):
            return
        self.last = elapsed
        self._write(done, divergences, elapsed)

    def _share(self, done: int) -> float:
        return min(done / max(self.total * self.chains, 1), 1.0)

    def _write(self, done: int, divergences: int | None, elapsed: float) -> None:
        share = self._share(done)
        filled = round(WIDTH * share)
        rest = f"{elapsed / share - elapsed:.0f} s left" if share > 0.02 else "starting"
        text = f"{self.doing} [{'#' * filled}{'.' * (WIDTH - filled)}] {100 * share:3.0f} %, {rest}"
        if divergences is not None:
            text += f", {divergences} divergences"
        self.visible = True
        _write("\r" + text[:COLUMNS].ljust(COLUMNS))


def _write(text: str) -> None:
    """Write to standard error, if there is one (a process without a console has none)."""
    if sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _is_watched() -> bool:
    """Whether standard error goes to a terminal or a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and type(shell).__name__ == "ZMQInteractiveShell":
        return True
    return bool(getattr(sys.stderr, "isatty", bool)())
