"""Work in threads: order of results, errors, and a calling thread that stays open to Ctrl-C."""

import threading
import time
from functools import partial

import pytest

from bayesglm.inference.threads import in_threads


def threads_left():
    return [thread for thread in threading.enumerate() if thread.name.startswith("bayesglm")]


def slow_square(x):
    time.sleep(0.002 * (5 - x % 5))
    return x * x


@pytest.mark.parametrize("n_threads", [1, 2, 3, 100])
def test_results_come_in_the_order_of_the_calls(n_threads):
    calls = [partial(slow_square, i) for i in range(12)]
    assert in_threads(calls, n_threads) == [i * i for i in range(12)]
    assert not threads_left()


def test_nothing_to_do():
    assert in_threads([], 4) == []


@pytest.mark.parametrize("n_threads", [1, 3])
def test_no_more_threads_than_asked_for(n_threads):
    running, most, lock = 0, 0, threading.Lock()

    def work():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    in_threads([work] * 12, n_threads)
    assert most == n_threads


def test_the_caller_is_woken_while_it_waits():
    seen = []
    in_threads([partial(time.sleep, 0.3)] * 2, 2, on_wait=lambda: seen.append(threading.current_thread()))
    assert 3 <= len(seen) <= 7
    assert set(seen) == {threading.current_thread()}


def test_an_error_of_a_call_is_raised():
    def fail():
        raise ZeroDivisionError("in a thread")

    with pytest.raises(ZeroDivisionError, match="in a thread"):
        in_threads([partial(time.sleep, 0.01), fail, partial(time.sleep, 0.01)], 2)
    assert not threads_left()


def interrupt():
    raise KeyboardInterrupt


def test_an_interrupt_stops_the_calls_and_waits_for_them():
    stop, finished = threading.Event(), []

    def work(i):
        stop.wait(30)
        finished.append(i)

    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        in_threads([partial(work, i) for i in range(6)], 2, on_wait=interrupt, on_failure=stop.set)
    assert time.perf_counter() - begin < 0.5
    assert len(finished) <= 3  # the two that ran; what had not begun never begins
    assert not threads_left()


def test_without_a_way_to_stop_them_calls_are_left_behind():
    begin, release = time.perf_counter(), threading.Event()
    with pytest.raises(KeyboardInterrupt):
        in_threads([partial(release.wait, 5)] * 4, 1, on_wait=interrupt)
    assert time.perf_counter() - begin < 0.5
    release.set()
    for thread in threads_left():
        thread.join(2)
    assert not threads_left()
