"""The extension ``dcf_latents`` of a SortingAnalyzer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from spikeinterface.core.job_tools import fix_job_kwargs

from ..config.validation import require, require_choice, require_flag, require_number
from ..data.result import DCFResult
from ..errors import DCFError, NotFittedError, ParameterError
from .fit import StoredData, fit_latents, make_params_config, unpack_result
from .recordings import from_analyzer
from .safe_extension import SafeExtension
from .sorted_units import PERIODS, hash_periods

if TYPE_CHECKING:
    from jaxtyping import Num

    Numbers = Num[np.ndarray, " frame *latent"]

Curation = Literal["refit", "drop"]
Params = dict[str, Any]  # JSON, by the names of `DCFLatents`


class DCFLatents(SafeExtension):
    """Low-dimensional latents of all units together: ``analyzer.compute("dcf_latents", dim=3)``.

    Spikes are binned on the recording's clock; square roots are smoothed, and Dynamic Compression Flows fitted, as
    `nwb_dcf.fit_nwb` does. Each segment of the analyzer is a segment of the fit: nothing crosses their edges.

    Parameters
    ----------
    dim : int or "auto", default: 3
        Number of latents; ``auto`` lets the data choose.
    bin_width_s : float, default: 0.02
        Width of a bin in seconds.
    smooth : float or "auto", default: "auto"
        Standard deviation of the Gaussian in seconds, 0 for none; ``auto`` lets the units choose it and the scale,
        see `nwb_dcf.estimator.smoothing_and_scale`. The width of bins stays `bin_width_s`.
    held_out : float, default: 0.2
        Fraction of the frames that is scored and not trained on.
    seed : int, default: 0
        The same seed gives the same latents, to the bit on CPU.
    extent : "recording" | "spikes", default: "recording"
        Bins from the start of each segment to its end, or from its first spike to its last, which is how an NWB file
        without ``obs_intervals`` is read.
    valid_unit_periods : bool, default: True
        Whether the extension of that name, where it is computed, limits the times at which units were observed.
    curation : "refit" | "drop", default: "refit"
        What select_units, remove_units, merge_units and split_units do. ``refit``: fit the units that are there then,
        with the same parameters, so that the latents are those of a fresh ``compute``. ``drop``: no latents, in no
        time, until they are computed again.
    **settings
        ``preset``, ``device``, ``steps`` and any other setting of `nwb_dcf.config`, by name.

    Notes
    -----
    Latents of some units are not a part of the latents of all units: the axes are those of the variance that all units
    have in common. Removed units, be they noise or halves of one cell, have shaped the axes. Hence the refit; where
    none is possible (fewer units than `dim`), the latents are dropped with a warning.

    Of job_kwargs, ``n_jobs`` is the number of threads and ``progress_bar`` shows a bar; the fit is one job, to which
    chunks do not apply.
    """

    extension_name = "dcf_latents"
    depend_on: list[str] = []  # noqa: RUF012 - SpikeInterface reads it from the class
    need_recording = False
    use_nodepipeline = False
    # SpikeInterface passes n_jobs and progress_bar on only to extensions that need them
    need_job_kwargs = True

    _dropped = ""  # why curation dropped the latents

    @classmethod
    def get_optional_dependencies(cls, **params: Any) -> list[str]:
        """Compute, copy and merge valid periods first where both are asked for."""
        return [PERIODS] if params.get(PERIODS, True) else []

    def _set_params(
        self,
        dim: int | Literal["auto"] = 3,
        bin_width_s: float = 0.02,
        smooth: float | Literal["auto"] = "auto",
        held_out: float = 0.2,
        seed: int = 0,
        extent: str = "recording",
        valid_unit_periods: bool = True,
        curation: Curation = "refit",
        **settings: Any,
    ) -> Params:
        require_number("bin_width_s", bin_width_s, low=0, open_low=True)
        if smooth != "auto":
            require_number("smooth", smooth, low=0)
        require_number("held_out", held_out, low=0, high=0.9)
        require_choice("extent", extent, ("recording", "spikes"))
        require_choice("curation", curation, ("refit", "drop"))
        require_flag(PERIODS, valid_unit_periods)
        # the former names had another unit: who changes the name alone would ask for bins of 20 s
        for former, name in (("bin_ms", "bin_width_s"), ("smooth_ms", "smooth")):
            require(former not in settings, f"{former} is called {name}", f"give {name} in seconds")
        named = {
            "bin_width_s": float(bin_width_s),
            "smooth": smooth if smooth == "auto" else float(smooth),
            "held_out": float(held_out),
        }
        params = {
            "dim": dim if dim == "auto" else _to_plain(dim),
            **named,
            "seed": _to_plain(seed),
            "extent": extent,
            PERIODS: valid_unit_periods,
            "curation": curation,
            **{name: _to_plain(value) for name, value in settings.items()},
        }
        # a wrong setting ends here, before the long work; the configuration itself is built again where it is used
        make_params_config(params)
        return params

    def _run(self, verbose: bool = False, **job_kwargs: Any) -> None:
        self.data = self._fit(self._count(self.sorting_analyzer), "dcf_latents", verbose=verbose, **job_kwargs)

    def _count(self, analyzer: Any, unit_ids: Sequence[Any] | None = None) -> xr.Dataset:
        params, earlier = self.params, self.sorting_analyzer.extensions.get(self.extension_name)
        # a fresh compute has no data yet, and the analyzer still holds those of the run that it replaces
        known = self.data or (earlier.data if earlier is not None else {})
        source = known.get("provenance", {}).get("source", {})  # has the clock of a recording that was lost since
        return from_analyzer(
            analyzer,
            bin_width_s=params["bin_width_s"],
            unit_ids=unit_ids,
            extent=params["extent"],
            valid_unit_periods=params[PERIODS],
            clocks=source.get("segments"),
        )

    def _fit(self, recording: xr.Dataset, label: str, *, verbose: bool = False, **job_kwargs: Any) -> StoredData:
        jobs = fix_job_kwargs(job_kwargs)
        return fit_latents(
            recording,
            self.params,
            label=label,
            verbose=verbose,
            n_jobs=jobs["n_jobs"],
            progress_bar=jobs["progress_bar"],
        )

    # -- answers ---------------------------------------------------------------------------------

    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        """Return latents; see `_get_data`.

        Raises
        ------
        NotFittedError
            If curation dropped them.
        """
        self._refuse_dropped()
        return super().get_data(*args, **kwargs)

    def _refuse_dropped(self) -> None:
        if self._dropped:
            raise NotFittedError(f"the latents were dropped: {self._dropped}", fix='compute("dcf_latents") again')

    def _get_data(self, outputs: str = "numpy") -> Numbers | list[Numbers] | xr.Dataset | DCFResult:
        """Return what was fitted.

        Parameters
        ----------
        outputs : "numpy" | "xarray" | "result"
            ``numpy``: latents (time, dim), or a list of them where the analyzer has several segments. ``xarray``: the
            Dataset with time, latents, velocity, spectrum and curves (see `nwb_dcf.DCFResult`). ``result``: the
            `nwb_dcf.DCFResult`, which `nwb_dcf.DCF.from_result` and `nwb_dcf.write_result` take.
        """
        require_choice("outputs", outputs, ("numpy", "xarray", "result"))
        self._warn_if_stale()
        if outputs == "numpy":
            return self._split_segments("latents")
        result = unpack_result(self.data)
        return result.dataset if outputs == "xarray" else result

    def get_times(self) -> Numbers | list[Numbers]:
        """Return the times of the latents, seconds on the recording's clock; of several segments a list of arrays."""
        self._refuse_dropped()
        return self._split_segments("time")

    def _warn_if_stale(self) -> None:
        """Warn where valid periods were computed, or changed, after the latents: SpikeInterface does not notify."""
        analyzer = self._sorting_analyzer()
        if analyzer is None or not self.params[PERIODS]:
            return
        extension = analyzer.get_extension(PERIODS)
        if extension is None:
            return
        now = hash_periods(np.asarray(extension.data[PERIODS]), analyzer.sorting, analyzer.unit_ids)
        if now != self.data["provenance"]["source"][PERIODS]:
            warnings.warn(
                'valid_unit_periods are newer than the latents: compute("dcf_latents") again',
                UserWarning,
                stacklevel=4,
            )

    def _split_segments(self, name: str) -> Numbers | list[Numbers]:
        values = np.asarray(self.data[name])
        # gaps and invalid periods cut a segment of the analyzer into several of the fit
        segment = np.asarray(self.data["trial_si_segment"])[np.asarray(self.data["segment_index"])]
        n_segments = len(self.data["provenance"]["source"]["segments"])
        parts = [values[segment == i] for i in range(n_segments)]
        return parts[0] if len(parts) == 1 else parts

    # -- curation --------------------------------------------------------------------------------

    def _select_units_extension_data(self, unit_ids: Sequence[Any]) -> StoredData:
        # the same units in the same order are a copy or a save under another name: nothing is fitted again
        if np.array_equal(unit_ids, self.sorting_analyzer.unit_ids):
            return dict(self.data)
        return self._refit(self.sorting_analyzer, unit_ids=list(unit_ids))

    def _merge_extension_data(
        self,
        merge_unit_groups: Any,
        new_unit_ids: Any,
        new_sorting_analyzer: Any,
        keep_mask: Any = None,
        verbose: bool = False,
        **job_kwargs: Any,
    ) -> StoredData:
        # which units were merged does not matter: spikes are counted anew from the sorting that has them merged
        return self._refit(new_sorting_analyzer, verbose=verbose, **job_kwargs)

    def _split_extension_data(
        self, split_units: Any, new_unit_ids: Any, new_sorting_analyzer: Any, verbose: bool = False, **job_kwargs: Any
    ) -> StoredData:
        return self._refit(new_sorting_analyzer, verbose=verbose, **job_kwargs)

    def _refit(
        self, analyzer: Any, *, unit_ids: list[Any] | None = None, verbose: bool = False, **job_kwargs: Any
    ) -> StoredData:
        if self.params["curation"] == "drop":
            raise _DroppedError("its units changed, and it was computed with curation='drop'")
        n = len(analyzer.unit_ids if unit_ids is None else unit_ids)
        return self._fit(
            self._count(analyzer, unit_ids), f"dcf_latents, again for {n} units", verbose=verbose, **job_kwargs
        )

    def copy(self, new_sorting_analyzer: Any, unit_ids: Any = None, channel_ids: Any = None) -> DCFLatents:
        """Follow the analyzer to a copy, of all its units or of some."""
        return self._follow(
            new_sorting_analyzer, lambda: super(DCFLatents, self).copy(new_sorting_analyzer, unit_ids, channel_ids)
        )

    def merge(self, new_sorting_analyzer: Any, *args: Any, **kwargs: Any) -> DCFLatents:
        """Follow the analyzer to one with merged units."""
        return self._follow(
            new_sorting_analyzer, lambda: super(DCFLatents, self).merge(new_sorting_analyzer, *args, **kwargs)
        )

    def split(self, new_sorting_analyzer: Any, *args: Any, **kwargs: Any) -> DCFLatents:
        """Follow the analyzer to one with split units."""
        return self._follow(
            new_sorting_analyzer, lambda: super(DCFLatents, self).split(new_sorting_analyzer, *args, **kwargs)
        )

    def _follow(self, analyzer: Any, follow: Callable[[], DCFLatents]) -> DCFLatents:
        """Follow, or keep the reason why there are no latents: curation itself must never fail for them."""
        why = self._dropped
        if not why:
            try:
                return follow()
            except DCFError as error:
                why = str(error)
                warnings.warn(f"dcf_latents dropped: {why}", UserWarning, stacklevel=5)
        # without data: get_data raises with the reason, and params say what had been computed
        ghost = type(self)(analyzer)
        ghost.params, ghost._dropped = dict(self.params), why
        return ghost


class _DroppedError(DCFError):
    """The latents are not to be kept."""


def _to_plain(value: Any) -> Any:
    """Turn numbers of NumPy into Python's, which JSON knows; refuse what JSON cannot hold."""
    value = value.item() if isinstance(value, np.generic) else value
    # JSON has no tuples: a list in memory and on disk, and `_read_settings` turns it back
    value = list(value) if isinstance(value, tuple) else value
    if not isinstance(value, (int, float, str, bool, list, type(None))):
        raise ParameterError(f"a parameter is {value!r}", fix="give a number, a text, True or False")
    return value
