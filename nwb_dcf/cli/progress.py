"""A bar on stderr, with the loss and the time left, for as long as something is read or trained."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import clean_text

if TYPE_CHECKING:
    from ..config.progress import Progress


class TrainingBar:
    """Show each stage of training as one bar; nothing where stderr is no terminal.

    Parameters
    ----------
    hidden : bool
        Show nothing at all.
    """

    def __init__(self, *, hidden: bool = False) -> None:
        self.hidden = hidden
        self._stage: str | None = None
        self._bar: Any = None

    def __call__(self, progress: Progress) -> None:
        """Move the bar to ``progress.step`` of ``progress.steps``."""
        from tqdm import tqdm  # here, so that --help need not wait for it

        if self._bar is None or progress.stage != self._stage:
            self._close()
            self._stage = progress.stage
            # disable=None: only where stderr is a terminal
            self._bar = tqdm(
                total=progress.steps,
                desc=clean_text(progress.stage),  # it names files
                unit=progress.unit,
                disable=self.hidden or None,
                dynamic_ncols=True,
            )
        if progress.loss is not None:
            self._bar.set_postfix_str(f"loss {progress.loss:.4f}", refresh=False)
        self._bar.update(progress.step - self._bar.n)

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
