"""Fit many files: one job each, by an engine of joblib, processes, Dask or Slurm, and a table at the end."""

from __future__ import annotations

from .engines import ENGINES
from .outcome import JobOutcome
from .report import BatchReport
from .run import run
from .settings import load_config, load_overrides, save_config

__all__ = ["ENGINES", "BatchReport", "JobOutcome", "load_config", "load_overrides", "run", "save_config"]
