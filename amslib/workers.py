"""Where the tasks of a grid are done: processes of this machine, or a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from types import ModuleType

import torch
from tqdm import tqdm

from .kernels import pinned_children

WAIT = 10  # seconds for an answer of a scheduler
# the last two where the client has given it up
UNREACHABLE = (OSError, RuntimeError, AttributeError)
# of a task: the weights of a whole grid travel with it
LARGE = {"distributed.admin.large-graph-warning-threshold": "4GB"}


@contextmanager
def processes(count: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """As many as there are cores, or `count`, of one thread each and with pinned kernels: none
    waits for another, and no digit depends on the machine. Ctrl-C ends them, and so does the end of
    the caller.
    """
    others = multiprocessing.active_children()
    spawn = multiprocessing.get_context("spawn")
    with (
        pinned_children(),
        ProcessPoolExecutor(count, mp_context=spawn, initializer=_begin) as pool,
    ):
        try:
            yield pool
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            time.sleep(0.2)  # the pool must forget what is cancelled before it breaks
            for process in set(multiprocessing.active_children()) - set(others):
                process.terminate()
            raise


@contextmanager
def pinned_process() -> Iterator[ProcessPoolExecutor]:
    """One process with pinned kernels that does not run the caller's script again, which therefore
    needs no ``if __name__ == "__main__"``; what is sent to it cannot be defined in that script.
    """
    with processes(1) as pool:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            pool.submit(int).result()  # starts it
        finally:
            sys.modules["__main__"] = script
        yield pool


def _begin() -> None:
    torch.set_num_threads(1)
    tqdm.set_lock(threading.RLock())  # its own is a semaphore, which an ended process leaves behind
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal; the caller ends the process
    threading.Thread(target=_end_with_caller, daemon=True).start()


def _end_with_caller() -> None:
    """A caller that is killed ends none of its processes."""
    multiprocessing.parent_process().join()
    os._exit(1)


class Cluster(Executor):
    """The executor of a Dask client, which also tells how many workers it has.

    Args:
        client: a `distributed.Client`.
    """

    def __init__(self, client):
        from dask import config

        config.set(LARGE)
        self.client, self.executor = client, client.get_executor(pure=False)

    def submit(self, fn, /, *args, **kwargs) -> Future:
        """See `concurrent.futures.Executor`.

        Raises:
            OSError: the connection to the scheduler was given up; Dask would take a task that
                never ends.
        """
        if self.client.status in ("closing", "closed"):
            raise OSError("no connection to the scheduler any more; is it still there?")
        return self.executor.submit(fn, *args, **kwargs)

    def workers(self) -> int:
        """Threads of all workers; 0 where the scheduler does not answer."""
        try:
            return sum(self.client.nthreads().values())
        except UNREACHABLE:
            return 0

    def running(self) -> int:
        """Tasks that are on a thread of a worker; 0 where the scheduler does not answer."""
        try:
            threads, given = self.client.nthreads(), self.client.processing()
        except UNREACHABLE:
            return 0
        mine = {worker: set(self.client.futures) & set(keys) for worker, keys in given.items()}
        return sum(min(len(keys), threads.get(worker, 0)) for worker, keys in mine.items())


@contextmanager
def cluster(address: str) -> Iterator[Cluster]:
    """The workers of a running Dask scheduler.

    Args:
        address: of the scheduler, e.g. "tcp://10.0.0.1:8786".

    Raises:
        OSError: no scheduler answers there.
        ValueError: Dask is not installed, or cannot use such an address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError("a cluster needs Dask; pip install dask distributed") from error
    try:
        client = Client(address, timeout=WAIT)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"scheduler {address}: cannot be used ({error}); expected e.g. tcp://10.0.0.1:8786"
        ) from error
    except OSError as error:
        raise OSError(f"scheduler {address}: no answer in {WAIT} s ({error}); is it up?") from error
    with client:
        yield Cluster(client)
