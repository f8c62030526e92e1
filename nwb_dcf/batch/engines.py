"""Engines that run jobs side by side: joblib, processes, Dask, Slurm by submitit; the names are SpikeInterface's.

Each is a function of jobs and keyword arguments that yields outcomes as they come.
"""

from __future__ import annotations

import inspect
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError
from .outcome import JobOutcome

if TYPE_CHECKING:
    from .job import FitJob

POLL_S = 0.5  # between two looks at Slurm: a busy scheduler answers slowly
EngineOptions = dict[str, Any]
"""Keyword arguments of an engine; each engine checks its own."""
Engine = Callable[["Sequence[FitJob]", EngineOptions], Iterator[JobOutcome]]
_run: Callable[[FitJob], JobOutcome] = methodcaller("run")  # which other processes can unpickle


def run_engine(
    name: str, jobs: Sequence[FitJob], engine_kwargs: Mapping[str, Any] | None = None
) -> Iterator[JobOutcome]:
    """Run `jobs` by the engine `name` and yield outcomes as they come, in any order.

    Raises
    ------
    ParameterError
        If the engine is unknown, not installed, not reachable, or does not take one of `engine_kwargs`.
    """
    if name not in ENGINES:
        raise ParameterError(f"engine is {name!r}", fix=f"choose one of {', '.join(ENGINES)}")
    # a copy: engines take their own arguments out of it
    yield from ENGINES[name](jobs, dict(engine_kwargs or {}))


def _run_loop(jobs: Sequence[FitJob], kwargs: EngineOptions) -> Iterator[JobOutcome]:
    """Run one after the other, in this process."""
    _refuse_rest("loop", kwargs)
    for job in jobs:
        yield job.run()


def _run_joblib(jobs: Sequence[FitJob], kwargs: EngineOptions) -> Iterator[JobOutcome]:
    """Run by ``joblib.Parallel``; kwargs are its own: ``n_jobs`` (all cores by default), ``backend``, ..."""
    import joblib

    # loky: fresh processes, as torch and HDF5 do not survive a fork in use
    settings = {"n_jobs": -1, "backend": "loky", **kwargs}
    # joblib hands what it does not know to its backend, which ignores it
    unknown = sorted(set(settings) - set(inspect.signature(joblib.Parallel).parameters))
    if unknown:
        raise ParameterError(f"joblib has no argument {unknown[0]!r}", fix="see joblib.Parallel")
    # other backends of joblib refuse this argument
    threads = {"inner_max_num_threads": jobs[0].threads} if settings["backend"] == "loky" and jobs else {}
    try:
        with joblib.parallel_config(backend=settings.pop("backend"), **threads):
            # as they come: a table of progress, and a batch that is ended has what was finished
            parallel = joblib.Parallel(return_as="generator_unordered", **settings)
            results = parallel(joblib.delayed(_run)(job) for job in jobs)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"joblib does not take these arguments ({error})", fix="see joblib.Parallel") from error
    yield from results


def _run_processes(jobs: Sequence[FitJob], kwargs: EngineOptions) -> Iterator[JobOutcome]:
    """Run by ``concurrent.futures.ProcessPoolExecutor``; kwargs are its own: ``max_workers``, ..."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    # Fresh processes: a forked one would inherit the threads of libraries in an unknown state.
    settings = {"mp_context": multiprocessing.get_context("spawn"), **kwargs}
    try:
        pool = ProcessPoolExecutor(**settings)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"the pool of processes does not take these arguments ({error})") from error
    with pool:
        futures = {pool.submit(_run, job): job for job in jobs}
        for future in as_completed(futures):
            try:
                yield future.result()
            # one process that dies takes the pool along: the others' files are reported too, and run at the next call
            except BrokenProcessPool:
                yield JobOutcome(futures[future].file, "failed", message="its process died, perhaps for lack of memory")


def _run_dask(jobs: Sequence[FitJob], kwargs: EngineOptions) -> Iterator[JobOutcome]:
    """Run by a Dask client that the user has made: ``client``, or the current one."""
    try:
        import distributed
    except ImportError:
        raise ParameterError("Dask is not installed", fix="pip install nwb-dcf[cluster]") from None
    dask: Any = distributed  # its types are incomplete
    # never made here: how many workers there are, and where, is the user's
    client = kwargs.pop("client", None)
    _refuse_rest("dask", kwargs)
    if client is None:
        try:
            client = dask.get_client()
        except ValueError:
            raise ParameterError(
                "there is no Dask client", fix="make one first, as client = distributed.Client(), or give its address"
            ) from None
    elif isinstance(client, str):
        try:
            client = dask.Client(client, timeout="10s")
        except OSError as error:
            raise ParameterError(f"no Dask scheduler answers at {client} ({error})", fix="check the address") from error
    # pure=False: the same request again is a new job, since the file may have changed
    pending = {client.submit(_run, job, pure=False): job for job in jobs}
    for future in dask.as_completed(list(pending)):
        failure = future.exception()
        if failure is None:
            yield future.result()
        else:
            yield JobOutcome(pending[future].file, "failed", message=f"the worker failed: {failure}")


def _run_slurm(jobs: Sequence[FitJob], kwargs: EngineOptions) -> Iterator[JobOutcome]:
    """Run as a Slurm array by submitit; ``folder`` for logs, ``cluster="local"`` to try it here, others are Slurm's."""
    try:
        import submitit
    except ImportError:
        raise ParameterError("submitit is not installed", fix="pip install nwb-dcf[cluster]") from None
    cluster = kwargs.pop("cluster", None)
    folder = kwargs.pop("folder", "nwb-dcf-jobs")
    if cluster is None and shutil.which("srun") is None:
        raise ParameterError(
            "Slurm is not on this machine: there is no srun", fix="run it where sbatch works, or choose joblib"
        )
    try:
        executor = submitit.AutoExecutor(folder=os.fspath(folder), cluster=cluster)
        executor.update_parameters(
            # a day: submitit's five minutes are shorter than a fit
            **{"timeout_min": 24 * 60, "cpus_per_task": jobs[0].threads if jobs else 1, **kwargs}
        )
    except (NameError, TypeError, ValueError, RuntimeError) as error:
        raise ParameterError(f"submitit does not take these arguments ({error})", fix="see its parameters") from error
    # one array, not one job for each file: schedulers limit how many may be queued
    pending = dict(zip(executor.map_array(_run, list(jobs)), jobs, strict=True))
    while pending:
        for job in [job for job in pending if job.done()]:
            asked = pending.pop(job)
            try:
                yield job.result()
            except Exception as error:  # raised by submitit for the scheduler: out of time or memory, a lost node
                last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                yield JobOutcome(asked.file, "failed", message=f"job {job.job_id} failed: {last}")
        time.sleep(POLL_S if pending else 0)


def _refuse_rest(engine: str, kwargs: Mapping[str, Any]) -> None:
    if kwargs:
        raise ParameterError(f"engine {engine} takes no {', '.join(kwargs)}", fix="leave it out")


ENGINES: dict[str, Engine] = {
    "loop": _run_loop,
    "joblib": _run_joblib,
    "processpoolexecutor": _run_processes,
    "dask": _run_dask,
    "slurm": _run_slurm,
}

__all__ = ["ENGINES", "run_engine"]
