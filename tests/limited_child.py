"""A call in a forked process of its own, with a limit of memory and of time: what kills that process kills no test."""

import os
import pickle
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What became of a call: its result, or how its process ended."""

    result: Any = None
    #: "" if it returned; else what stopped it: a signal, the limit of time, or an exit
    end: str = ""


def limited(call: Callable[[], Any], seconds: float, gib: float) -> Outcome:
    """Call something in a child, and return its result, or how the child ended.

    Parameters
    ----------
    call : callable
        Its result must be one that pickle takes. Exceptions are for the call to catch.
    seconds : float
        Of processor time; three times as much by the clock, since other processes may hold the processors.
    gib : float
        Address space, with what the calling process has mapped already.
    """
    sys.stdout.flush()
    readable, writable = os.pipe()
    child = os.fork()
    if not child:
        os.close(readable)
        size = int(gib * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            with os.fdopen(writable, "wb") as pipe:
                pickle.dump(call(), pipe)
        except BaseException as error:
            print(f"the child ends with {error!r:.300}", flush=True)
            os._exit(70)
        os._exit(0)
    os.close(writable)
    data, deadline = b"", time.monotonic() + 3.0 * seconds
    while True:
        ready, _, _ = select.select([readable], [], [], max(deadline - time.monotonic(), 0.0))
        part = os.read(readable, 1 << 16) if ready else None
        if not part:
            break
        data += part
    os.close(readable)
    if part is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if part is None or code == -signal.SIGXCPU:
        return Outcome(end="it did not end in time")
    if code < 0:
        return Outcome(end=f"killed by {signal.Signals(-code).name}")
    return Outcome(end=f"exit {code}") if code else Outcome(pickle.loads(data))
