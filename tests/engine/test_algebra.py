"""One thread for linear algebra: in every block, and no longer than that."""

import threading
import time

import numpy as np
from threadpoolctl import threadpool_info

from engine.algebra import one_thread


def used():
    # OpenMP counts by thread, BLAS for the whole process.
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_blocks_of_two_threads_are_held_to_one_each_and_leave_what_was():
    np.ones((2, 2)) @ np.ones((2, 2))
    before, seen = used(), []
    entered, leave = threading.Event(), threading.Event()

    def first():
        with one_thread():
            entered.set()
            leave.wait(10)
            seen.append(used())

    def second():
        with one_thread():
            # Were the first still there, it would end before this.
            time.sleep(0.1)
            seen.append(used())

    threads = [threading.Thread(target=each) for each in (first, second)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    time.sleep(0.05)
    leave.set()
    for each in threads:
        each.join(10)
    assert seen == [{1}, {1}]
    assert used() == before
