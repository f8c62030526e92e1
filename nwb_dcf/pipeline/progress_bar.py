"""The one progress bar: of reading and of training, on the command line and in SpikeInterface."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import clean_text

if TYPE_CHECKING:
    from ..config.progress import Progress

LINE_EVERY_S = 30.0  # where no terminal is
LEAST_BAR = 4  # columns of the bar itself: where not even they are left the loss is left out
REST = " 100%|| 00:00<00:00, loss 0.0000"
# as in config.progress, which every command would have to load with all settings
CHOOSING_SMOOTHING, SCORES, WRITING = "choosing smoothing", "scores", "writing"
STAGES = {
    CHOOSING_SMOOTHING: (0.0, 0.1),
    "choosing steps": (0.1, 0.45),
    "choosing steps (dynamics)": (0.4, 0.25),
    "training": (0.55, 0.15),
    "training (dynamics)": (0.65, 0.05),
    SCORES: (0.7, 0.25),
    WRITING: (0.95, 0.05),
}
"""Where a stage begins within a fit, and how much of it it is, as measured on spikes, calcium and video."""
PARTS = {"choosing steps": (0.1, 0.25), "training": (0.35, 0.05)}
ANNOUNCED = (CHOOSING_SMOOTHING, SCORES, WRITING)
_STAGE = re.compile(r"(?:(null|fit) (\d+) of (\d+): )?(choosing steps|training)(?: \(([\w ]+)\))?$")
OVERALL = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


class ProgressBar:
    """Show how far all of the work is as one bar on stderr, with the stage, the time left and the loss.

    It is a callback as `nwb_dcf.fit_nwb` takes one, and a context that closes the last bar. What is not a part of a
    fit, as reading a video or comparing methods, has a bar of its own.

    Parameters
    ----------
    hidden : bool
        Show nothing.
    label : str
        Text before the name of each stage.
    only_in_terminal : bool
        Show the bar in a terminal alone. Elsewhere, as in the log of a batch system, a line on stderr says when a stage
        begins, but for reading, and every half minute how far it is: a bar there is a line for each of its steps.
    n_fits : int
        Fits that are to be made in all, null fits and repeats among them.
    log : callable, optional
        Given a line when a stage begins, and every half minute, whatever is shown.

    Examples
    --------
    >>> from nwb_dcf.config.progress import Progress
    >>> with ProgressBar(hidden=True) as bar:
    ...     bar(Progress("training", 10, 100, loss=0.5))
    """

    def __init__(
        self,
        *,
        hidden: bool = False,
        label: str = "",
        only_in_terminal: bool = True,
        n_fits: int = 1,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self._label = f"{label}: " if label else ""
        # tqdm reads None as "only where stderr is a terminal"
        self._disable = True if hidden else None if only_in_terminal else False
        self._log = log
        self._stage: str | None = None
        self._bar: Any = None
        self._writes_lines = not hidden and only_in_terminal and not sys.stderr.isatty()
        self._lined_stage, self._lined_s = "", time.monotonic()
        self._n_fits, self._finished, self._prefix, self._fraction = n_fits, 0, "", 0.0

    def __call__(self, progress: Progress) -> None:
        """Move the bar to ``progress.step`` of ``progress.steps``."""
        if self._log or self._writes_lines:
            self._write_line(progress)
        if self._writes_lines:
            return
        found = _STAGE.match(progress.stage)
        if found or progress.stage in ANNOUNCED:
            self._show_overall(progress, found)
        elif not progress.at_once:  # what is announced has no steps yet, and the overall bar knows of it
            self._show_stage(progress)

    def _show_overall(self, progress: Progress, found: re.Match[str] | None) -> None:
        prefix, doing = "", progress.stage
        if found:
            prefix = f"{found[1]} {found[2]}/{found[3]}, " if found[1] else ""
            part = (found[5] or "model").removesuffix(" and compression")
            doing = f"{part}: {'steps' if found[4] == 'choosing steps' else 'training'}"
            if prefix != self._prefix:
                self._prefix, self._finished = prefix, self._finished + 1
        start, width = STAGES.get(progress.stage.rpartition(": ")[2]) or PARTS[found[4] if found else ""]
        within = start + width * progress.step / max(progress.steps, 1)
        # never backwards: a stage may be left out, or come twice
        self._fraction = max(self._fraction, min((self._finished + within) / max(self._n_fits, self._finished + 1), 1))
        description = clean_text(f"{self._label}{prefix}{doing}")
        if self._bar is None or self._stage is not None:
            self._open(None, total=1.0, bar_format=OVERALL)
        self._bar.set_description_str(description, refresh=False)
        if progress.loss is not None:
            wide = (getattr(self._bar, "ncols", None) or 80) >= len(description) + len(REST) + LEAST_BAR
            self._bar.set_postfix_str(f"loss {progress.loss:.4f}" if wide else "", refresh=False)
        self._bar.update(self._fraction - self._bar.n)

    def _show_stage(self, progress: Progress) -> None:
        if self._bar is None or progress.stage != self._stage:
            # a stage names files, and a file name may hold escapes
            description = clean_text(f"{self._label}{progress.stage}")
            self._open(progress.stage, total=progress.steps, desc=description, unit=progress.unit)
        if progress.loss is not None:
            # drawn by the update that follows: twice a step would flicker
            self._bar.set_postfix_str(f"loss {progress.loss:.4f}", refresh=False)
        # tqdm takes increments, and steps are reported every few
        self._bar.update(progress.step - self._bar.n)

    def _open(self, stage: str | None, **look: Any) -> None:
        # here, since --help and a quiet run need not wait for it; auto is the bar of notebooks where there is one
        from tqdm.auto import tqdm

        self._close()
        self._stage = stage
        self._bar = tqdm(disable=self._disable, dynamic_ncols=True, **look)

    def _write_line(self, progress: Progress) -> None:
        begins, now_s = progress.stage != self._lined_stage, time.monotonic()
        if not begins and now_s - self._lined_s < LINE_EVERY_S and not progress.at_once:
            return
        self._lined_stage, self._lined_s = progress.stage, now_s
        line = self._describe(progress)
        if self._log is not None:
            self._log(line)
        # what is read may be refused, and a refusal is one line
        before = progress.stage.startswith("reading") or progress.stage == CHOOSING_SMOOTHING
        brief = begins and before and not progress.at_once
        if self._writes_lines and not brief:
            print(line, file=sys.stderr, flush=True)

    def _describe(self, progress: Progress) -> str:
        loss = "" if progress.loss is None else f", loss {progress.loss:.4f}"
        stage = clean_text(f"{self._label}{progress.stage}")
        if progress.steps == 1 and not progress.step:  # announced
            return stage
        return f"{stage}: {progress.unit} {progress.step} of {progress.steps}{loss}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # a search may end early, and what is done is done
        if kind is None and self._bar is not None and self._stage is None:
            self._bar.update(1.0 - self._bar.n)
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
