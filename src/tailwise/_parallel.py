"""Calls in parallel over joblib: by processes of this machine, or on a cluster of Dask or Ray."""

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from typing import Any

from tailwise._checks import InputError, one_of, whole

BACKENDS = ("loky", "dask", "ray")
Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]  # as joblib.delayed(function)(*args, **kwargs) gives
_CALL = threading.Lock()
_INSIDE = threading.local()


def check_parallel(jobs: int, backend: str) -> None:
    """Raise unless there is at least one job, and a backend of this name whose packages are there.

    Raises:
        InputError: a backend that cannot be used, fewer than one job.
    """
    whole(jobs, "`jobs`", least=1)
    one_of(backend, "`backend`", BACKENDS)
    try:
        if backend == "ray":
            import ray.util.joblib  # noqa: F401
        elif backend == "dask":
            import distributed  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"`backend` {backend!r} needs a package that is not installed ({error}); pip install 'tailwise[{backend}]'"
        ) from error


def in_parallel(calls: Iterable[Call], *, jobs: int, backend: str = "loky", in_order: bool = True) -> Iterator[Any]:
    """Yield the results of calls as they come.

    With several jobs each has one thread. ``"dask"`` uses the client that the process has; without one it connects to
    the scheduler that Dask's settings name (``DASK_SCHEDULER_ADDRESS``) or starts a cluster of ``jobs`` workers on this
    machine. ``"ray"`` connects to the cluster of ``RAY_ADDRESS``, or starts one here; its results come ``jobs`` at a
    time. Workers must see the same files as this process, and each of them runs one call at a time, however many
    threads it has: calls that train draw from the random numbers of their process. Calls made from a call of a cluster
    run one after another where that one runs.

    Args:
        calls: as ``joblib.delayed`` gives them; each is taken when a job is free for it.
        jobs: calls at a time.
        backend: one of :data:`BACKENDS`.
        in_order: whether results come in the order of the calls.

    Raises:
        InputError: see :func:`check_parallel`.
    """
    check_parallel(jobs, backend)
    if getattr(_INSIDE, "call", False):
        yield from (function(*args, **kwargs) for function, args, kwargs in calls)
        return
    if backend != "loky":
        calls = ((_alone, call, {}) for call in calls)
    if backend == "ray":
        yield from _by_ray(iter(calls), jobs)
        return
    from joblib import Parallel, parallel_config

    # A worker whose memory has grown is replaced, and nothing is lost. The thread that says so would end, and the calls
    # would wait for ever, where warnings are errors.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
    threads = {"inner_max_num_threads": 1} if backend == "loky" and jobs > 1 else {}
    client: AbstractContextManager[None] = _dask_client(jobs) if backend == "dask" else nullcontext()
    with client, parallel_config(backend=backend, n_jobs=jobs, **threads):
        ordered = "generator" if in_order else "generator_unordered"
        yield from Parallel(return_as=ordered, pre_dispatch="n_jobs")(calls)


def _alone(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a call while its process runs no other, and what it calls in parallel here, one after another.

    joblib gives what a call of Dask does in parallel to the cluster again, and a worker starts another call meanwhile.
    """
    from joblib import parallel_config

    with _CALL, parallel_config(backend="sequential"):
        _INSIDE.call = True
        try:
            return function(*args, **kwargs)
        finally:
            _INSIDE.call = False


@contextmanager
def _dask_client(jobs: int) -> Iterator[None]:
    """Use the client of this process; without one, have one inside the context."""
    from distributed import Client, get_client

    try:
        get_client()
    except ValueError:
        import dask

        address = dask.config.get("scheduler-address", None)
        local = {} if address else {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
        with Client(address, **local):  # type: ignore[no-untyped-call]
            yield
    else:
        yield


def _by_ray(calls: Iterator[Call], jobs: int) -> Iterator[Any]:
    """Run calls ``jobs`` at a time: joblib's backend of Ray gives results only when all of them are there."""
    from joblib import Parallel, parallel_config
    from ray.util.joblib import register_ray

    register_ray()  # type: ignore[no-untyped-call]
    while some := list(islice(calls, jobs)):
        with parallel_config(backend="ray", n_jobs=jobs):
            yield from Parallel()(some)
