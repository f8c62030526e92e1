"""The one progress bar: of reading and of training, on the command line and in SpikeInterface."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import clean_text

if TYPE_CHECKING:
    from ..config.progress import Progress

LINE_EVERY_S = 30.0  # where no terminal is


class ProgressBar:
    """Show each stage of the work as one bar on stderr, with the loss and the time left.

    It is a callback as `nwb_dcf.fit_nwb` takes one, and a context that closes the last bar.

    Parameters
    ----------
    hidden : bool
        Show nothing.
    label : str
        Text before the name of each stage.
    only_in_terminal : bool
        Show the bar in a terminal alone. Elsewhere, as in the log of a batch system, a line on stderr says every half
        minute how far the work is: a bar there is a line for each of its steps.

    Examples
    --------
    >>> from nwb_dcf.config.progress import Progress
    >>> with ProgressBar(hidden=True) as bar:
    ...     bar(Progress("training", 10, 100, loss=0.5))
    """

    def __init__(self, *, hidden: bool = False, label: str = "", only_in_terminal: bool = True) -> None:
        self._label = f"{label}: " if label else ""
        # tqdm reads None as "only where stderr is a terminal"
        self._disable = True if hidden else None if only_in_terminal else False
        self._stage: str | None = None
        self._bar: Any = None
        self._writes_lines = not hidden and only_in_terminal and not sys.stderr.isatty()
        # from now: a stage that is over within half a minute needs no line
        self._written_s = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Move the bar to ``progress.step`` of ``progress.steps``; a new stage has a bar of its own."""
        if self._writes_lines:
            self._write_line(progress)
            return
        # here, since --help and a quiet run need not wait for it; auto is the bar of notebooks where there is one
        from tqdm.auto import tqdm

        if self._bar is None or progress.stage != self._stage:
            self._close()
            self._stage = progress.stage
            self._bar = tqdm(
                total=progress.steps,
                desc=clean_text(
                    f"{self._label}{progress.stage}"
                ),  # a stage names files, and a file name may hold escapes
                unit=progress.unit,
                disable=self._disable,
                dynamic_ncols=True,
            )
        if progress.loss is not None:
            # drawn by the update that follows: twice a step would flicker
            self._bar.set_postfix_str(f"loss {progress.loss:.4f}", refresh=False)
        # tqdm takes increments, and steps are reported every few
        self._bar.update(progress.step - self._bar.n)

    def _write_line(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if now_s - self._written_s < LINE_EVERY_S and not progress.at_once:
            return
        self._written_s = now_s
        loss = "" if progress.loss is None else f", loss {progress.loss:.4f}"
        stage = clean_text(f"{self._label}{progress.stage}")
        print(f"{stage}: {progress.unit} {progress.step} of {progress.steps}{loss}", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
