"""DCFResult <-> NWB: safe writing, listing and reading of fits.

A fit is one container in ``processing/dcf``. `payload` lays it out, ``scripts`` holds what runs in clean processes
(`append`, `drop`, `verify`), and `atomic` keeps the user's file safe meanwhile.
"""

from __future__ import annotations

from ..synthetic_session import write_session
from .atomic import find_leftovers, remove_leftovers, restore_folder
from .checkpoint_file import (
    check_checkpoint_folder,
    find_differences,
    find_unfinished,
    list_checkpoints,
    name_checkpoint,
    read_checkpoint,
    remove_checkpoint,
    write_checkpoint,
)
from .clean_process import CleanProcess, start_clean
from .cohort_file import check_cohort_output, read_cohort, write_cohort
from .payload import have_equal_tensors
from .read import find_changes, list_results, read_result, split_address
from .rehearsal import rehearse_append
from .remove import RemovedResult, remove_result
from .rescue import rescue_result
from .safetensors_bytes import read_tensors, write_tensors
from .write import WrittenResult, check_derived, check_writable, write_derived, write_result

__all__ = [
    "CleanProcess",
    "RemovedResult",
    "WrittenResult",
    "check_checkpoint_folder",
    "check_cohort_output",
    "check_derived",
    "check_writable",
    "find_changes",
    "find_differences",
    "find_leftovers",
    "find_unfinished",
    "have_equal_tensors",
    "list_checkpoints",
    "list_results",
    "name_checkpoint",
    "read_checkpoint",
    "read_cohort",
    "read_result",
    "read_tensors",
    "rehearse_append",
    "remove_checkpoint",
    "remove_leftovers",
    "remove_result",
    "rescue_result",
    "restore_folder",
    "split_address",
    "start_clean",
    "write_checkpoint",
    "write_cohort",
    "write_derived",
    "write_result",
    "write_session",
    "write_tensors",
]
