"""Python's audit events as a witness: what a piece of code imported, opened, compiled, executed or started."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

#: Events that no formula of a stranger and no file may cause, by their first part.
FORBIDDEN = (
    *(
        "exec",
        "import",
        "open",
        "os",
        "subprocess",
        "socket",
        "shutil",
        "ctypes",
        "marshal",
        "pickle",
        "code",
    ),
    *(
        "tempfile",
        "urllib",
        "http",
        "ftplib",
        "smtplib",
        "webbrowser",
        "mmap",
        "pty",
        "fcntl",
        "signal",
        "winreg",
    ),
    *("sys.addaudithook", "sys.settrace", "sys.setprofile", "builtins.input", "glob"),
)
#: SciPy makes methods of every frozen distribution from a template of its own.
SCIPY_TEMPLATE = "exec <string> ('_parse_args', '_parse_args_rvs', '_parse_args_stats')"


class Witness:
    """Records events while it watches; a hook cannot be taken away again, so there is one for a process."""

    def __init__(self) -> None:
        self.watching = False
        self.events: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watching:
            return
        if event == "import" and arguments[0] in sys.modules:
            return
        shown = repr(arguments)
        if event == "exec" and isinstance(arguments[0], CodeType):
            shown = f"{arguments[0].co_filename} {arguments[0].co_names}"
        self.events.append(f"{event} {shown:.200}")

    @contextmanager
    def watch(self) -> Iterator[list[str]]:
        """Record events while the block runs."""
        self.events, self.watching = [], True
        try:
            yield self.events
        finally:
            self.watching = False


def suspicious(events: list[str], *allowed: str) -> list[str]:
    """Return the events that are forbidden, but for those that begin as one of ``allowed``."""
    found = []
    for event in events:
        name = event.partition(" ")[0]
        forbidden = name in FORBIDDEN or name.partition(".")[0] in FORBIDDEN
        if forbidden and not event.startswith(allowed):
            found.append(event)
    return found
