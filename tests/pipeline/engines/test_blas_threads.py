"""NumPy's products on one thread: for the whole process, and said where it cannot be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

CODE = """
import json, threading
import numpy
from threadpoolctl import threadpool_info, threadpool_limits
from freefill.pipeline.engines.blas_threads import use_one_thread

def threads():
    return [found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"]

def elsewhere(work):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    thread.join()
    return answers[0]
"""


def answer(code: str) -> object:
    env = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    ran = subprocess.run(
        [sys.executable, "-c", f"{CODE}\n{code}"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_it_holds_in_all_threads_and_for_good() -> None:
    code = "print(json.dumps([use_one_thread(), threads(), elsewhere(threads), use_one_thread()]))"
    assert answer(code) == [True, [1], [1], True]
    # Threads that come and go may ask again.
    code = "use_one_thread(); print(json.dumps([elsewhere(use_one_thread), threads()]))"
    assert answer(code) == [True, [1]]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core has one thread anyway")
def test_a_limit_of_the_caller_is_kept_within_it() -> None:
    code = """
use_one_thread()
with threadpool_limits(2, "blas"):
    inside = threads()
print(json.dumps([inside, threads()]))
"""
    assert answer(code) == [[2], [1]]
    # Whose limit another thread holds is not overruled, and that is said.
    code = """
begun, go_on = threading.Event(), threading.Event()
def hold():
    with threadpool_limits(2, "blas"):
        begun.set()
        go_on.wait(20)
thread = threading.Thread(target=hold)
thread.start()
begun.wait(20)
told = use_one_thread()
go_on.set()
thread.join()
print(json.dumps([told, use_one_thread()]))
"""
    assert answer(code) == [False, True]
