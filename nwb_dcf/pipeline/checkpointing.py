"""What a fit leaves of itself while it trains, and how it ends when the system asks it to.

Batch systems send SIGTERM some seconds before they kill, and terminals SIGHUP when they close.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..config.progress import WRITING, Progress
from ..data.records import JSON
from ..data.result import DCFResult
from ..errors import DCFError, ParameterError, StoreError, Terminated
from ..io.results import (
    check_checkpoint_folder,
    find_differences,
    name_checkpoint,
    read_checkpoint,
    remove_checkpoint,
    rescue_result,
    write_checkpoint,
)
from .destination import ReservedDestination
from .fit_plan import FitPlan

if TYPE_CHECKING:
    from ..config.progress import Listener
    from ..model.training.checkpoint import Checkpoints

# Windows has no SIGHUP
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@dataclass(frozen=True)
class CheckpointPlace:
    """Where the checkpoint of a fit lies, and whether the fit goes on from it.

    Attributes
    ----------
    target : Path
        The file that the fit is to go into, resolved.
    name : str
        Of the fit.
    folder : str, Path or None
        Where the checkpoint is to lie; the work folder of `target` by default.
    resume : bool
    """

    target: Path
    name: str
    folder: str | Path | None
    resume: bool

    @classmethod
    def of(cls, plan: FitPlan, folder: str | Path | None, *, resume: bool) -> CheckpointPlace:
        """Place of the checkpoint of a plan that has a destination."""
        reserved = _require_destination(plan)
        return cls(reserved.target.find_file(), reserved.name, folder, resume)

    @property
    def path(self) -> Path:
        """The checkpoint."""
        return name_checkpoint(self.target, self.name, self.folder)

    def check(self) -> None:
        """Refuse, before training, a folder that takes no checkpoint, or to go on from none.

        Raises
        ------
        StoreError
            If the folder is not there or read-only.
        ParameterError
            If there is nothing to go on from.
        """
        if self.folder is not None:
            check_checkpoint_folder(self.folder)
        if self.resume and read_checkpoint(self.path) is None:
            raise ParameterError(
                f"there is no checkpoint of {self.name} to go on from",
                where=str(self.path),
                fix="leave --resume out, or say where it is with --checkpoint DIR; the settings decide the fit's name",
            )

    def open(self, about: Mapping[str, Any]) -> Checkpoints:
        """Begin the checkpoints of the fit that `about` describes, from those that are there if it is to go on.

        Raises
        ------
        StoreError
            If what is there cannot be read.
        ParameterError
            If it is of a fit of other data or with other settings.
        """
        from ..model.training.checkpoint import Checkpoints, unpack

        stored = read_checkpoint(self.path) if self.resume else None
        if stored is not None:
            then = unpack(stored).get("about")
            differences = find_differences(then if isinstance(then, dict) else {}, about)
            if differences:
                more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
                raise ParameterError(
                    f"the checkpoint is of another fit ({'; '.join(differences[:3])}{more})",
                    where=str(self.path),
                    fix="give the same file and settings, or leave --resume out",
                )
        return Checkpoints(lambda document: write_checkpoint(self.path, self.target, document), about, stored=stored)

    def write(self, plan: FitPlan, result: DCFResult) -> DCFResult:
        """Write the result where it is to go, or keep it elsewhere; without a need for the checkpoint that goes.

        Raises
        ------
        StoreError
            If its file does not take it: it names where the result is kept instead. Where no folder takes it, the
            checkpoint stays, from which the fit is made again without training.
        """
        try:
            written = plan.write(result)
        except DCFError as error:
            # hours of training are not lost to a full disk: elsewhere, in a file that knows its session
            kept = rescue_result(result, _require_destination(plan).session, self.target, self.name)
            if kept is None:
                fix = "free space or change permissions, and run the same command with --resume: the training is kept"
                raise StoreError(error.what, where=error.where, fix=fix) from error
            remove_checkpoint(self.path, self.target)
            what = f"{error.what.rstrip('.')}; the fit is kept in {kept}"
            command = f"nwb-dcf attach {shlex.quote(str(kept))} {shlex.quote(str(self.target))}"
            raise StoreError(what, where=error.where, fix=f"when that is mended: {command}") from error
        remove_checkpoint(self.path, self.target)
        return written


@dataclass(frozen=True)
class KeptTraining:
    """A planned fit whose training is kept until its result is in its file."""

    plan: FitPlan
    place: CheckpointPlace
    checkpoints: Checkpoints

    def write(self, result: DCFResult, progress: Listener | None = None) -> DCFResult:
        """Write the result as `CheckpointPlace.write` does, and say where it went on from a checkpoint."""
        if progress:
            progress(Progress(WRITING, 0, 1))
        self.checkpoints.write()  # until the fit is in its file this is all that there is of it
        if self.checkpoints.resumed:
            result.provenance["resumed"] = self.checkpoints.resumed
        return self.place.write(self.plan, result)


@contextmanager
def keep_training(plan: FitPlan, folder: str | Path | None, *, resume: bool) -> Iterator[KeptTraining]:
    """Keep checkpoints of a planned fit while it trains, and go on from those that are there where it is to.

    Parameters
    ----------
    plan : FitPlan
        With a destination.
    folder : str, Path or None
        Where the checkpoint is to lie; beside the file that the fit goes into by default.
    resume : bool
        Whether to go on from the checkpoint that is there.
    """
    place, reserved = CheckpointPlace.of(plan, folder, resume=resume), _require_destination(plan)
    with ExitStack() as stack:
        # before torch is loaded, which keeps one core busy; where hours of fits follow, nothing waits beside them
        if not plan.repeats.n_more:
            plan = replace(plan, destination=stack.enter_context(reserved.start_writer()))
        checkpoints = place.open(describe_plan(plan))
        stack.enter_context(end_with_checkpoint(checkpoints))
        yield KeptTraining(plan, place, checkpoints)


def _require_destination(plan: FitPlan) -> ReservedDestination:
    if plan.destination is None:
        raise ParameterError("the fit goes into no file", fix="fit an NWB file with nwb_dcf.fit_nwb")
    return plan.destination


def describe_plan(plan: FitPlan) -> JSON:
    """Describe all that the weights of a fit depend on, but for the machine; JSON-able."""
    recording, source, reserved = plan.recording, plan.recording.attrs["source"], _require_destination(plan)
    # the clock and the segments, which neither the source nor the settings determine: a table may have changed
    digest = hashlib.sha256()
    for variable in ("time", "segment_index", "segment_start", "segment_stop"):
        digest.update(np.ascontiguousarray(recording[variable].values).tobytes())
    # the name and the version too: a checkpoint of another version may hold tensors of other shapes
    about = {
        "fit": reserved.name,
        "file": reserved.target.find_file().name,
        "nwb_dcf": __version__,
        "source": {key: source.get(key) for key in ("identifier", "path", "object_id", "sha256")},
        "frames": {**{str(dim): int(n) for dim, n in recording.sizes.items()}, "sha256": digest.hexdigest()},
        "held_out": plan.held_out,
        "read": asdict(plan.read),
        "settings": plan.config.to_dict(),
        "warm_start": None if plan.warm_start is None else hashlib.sha256(plan.warm_start.weights).hexdigest(),
    }
    # through JSON and back, as it is compared with what a file holds: tuples are lists there
    plain: JSON = json.loads(json.dumps(about, default=str))
    return plain


@contextmanager
def end_with_checkpoint(checkpoints: Checkpoints) -> Iterator[None]:
    """Keep the checkpoints of every fit inside the block; SIGTERM and SIGHUP write one and raise `Terminated`.

    While something trains, it leaves its state at its next step; else what was left is written at once. A second signal
    does not wait. Signals that the caller handles or ignores, as under nohup, and those of a thread are left alone.
    """
    from ..model.training.checkpoint import keep_checkpoints

    received: list[int] = []

    def end(number: int, _frame: object) -> None:
        received.append(number)
        checkpoints.request_stop()
        # a step in progress holds weights half updated: the training loop itself writes between two steps
        if len(received) > 1 or not checkpoints.trains:
            checkpoints.write()
            raise Terminated(number)

    # Python takes signal handlers from the main thread alone; nohup and callers that handle signals keep their way
    handled = []
    if threading.current_thread() is threading.main_thread():
        handled = [number for number in SIGNALS if signal.getsignal(number) == signal.SIG_DFL]
    for number in handled:
        signal.signal(number, end)
    try:
        with keep_checkpoints(checkpoints):
            yield
    except Terminated as error:
        # the loop ends by a Terminated of its own, which does not know the signal
        raise (Terminated(received[0]) if received else error) from None
    except KeyboardInterrupt:
        checkpoints.write()
        raise
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
