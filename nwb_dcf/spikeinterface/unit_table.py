"""Which units load on which axis, as a table beside the quality metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..errors import NotFittedError


def tabulate_units(analyzer: Any) -> pd.DataFrame:
    """Tabulate what each unit has to do with the latents.

    Parameters
    ----------
    analyzer : spikeinterface.SortingAnalyzer
        With ``dcf_latents`` computed.

    Returns
    -------
    pandas.DataFrame
        A row for each unit of the analyzer, by its id, so that it joins with ``quality_metrics``; NaN for units that
        were left out of the fit as silent, constant or never valid.

        ================== =================================================================================
        column             meaning
        ================== =================================================================================
        ``dcf_loading_K``  the unit's entry in axis K, -1 to 1; the squares of an axis sum to 1 over units
        ``dcf_axis``       axis that moves the unit most: the largest loading times the axis' standard deviation
        ``dcf_r2``         share of the unit's variance that the latents rebuild, on held-out frames where there
                           are any (square roots, smoothed); below 0 where the unit's own mean would do better
        ================== =================================================================================

    Raises
    ------
    NotFittedError
        If there are no latents.

    Examples
    --------
    >>> table = tabulate_units(analyzer)  # doctest: +SKIP
    >>> analyzer.get_extension("quality_metrics").get_data().join(table)  # doctest: +SKIP
    """
    extension = analyzer.get_extension("dcf_latents")
    if extension is None:
        raise NotFittedError("the analyzer has no latents", fix='call analyzer.compute("dcf_latents") first')
    data = extension.get_data(outputs="xarray")
    dim = data.sizes["latent"]
    loadings = data["loadings"].values[:, :dim]
    moved = np.abs(loadings) * np.sqrt(data["spectrum"].values[:dim])
    columns: dict[str, np.ndarray] = {f"dcf_loading_{k + 1}": loadings[:, k] for k in range(dim)}
    columns |= {"dcf_axis": moved.argmax(axis=1) + 1, "dcf_r2": np.asarray(extension.data["unit_r2"])}
    table = pd.DataFrame(columns, index=data["unit"].values).reindex(analyzer.unit_ids)
    table["dcf_axis"] = table["dcf_axis"].astype("Int64")
    return table.rename_axis("unit_id")
