"""Loadings of each unit on the axes, as a table beside the quality metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import NotFittedError

if TYPE_CHECKING:
    from jaxtyping import Num


def tabulate_units(analyzer: Any) -> pd.DataFrame:
    """Tabulate the loadings of each unit and the R2 of its reconstruction.

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
        ``dcf_r2``         fraction of its variance that the latents reconstruct, on held-out frames where there
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
    # a loading of unit length moves a unit by as much as its axis varies
    moved = np.abs(loadings) * np.sqrt(data["spectrum"].values[:dim])
    columns: dict[str, Num[np.ndarray, " unit"]] = {f"dcf_loading_{k + 1}": loadings[:, k] for k in range(dim)}
    columns |= {"dcf_axis": moved.argmax(axis=1) + 1, "dcf_r2": np.asarray(extension.data["unit_r2"])}
    # a row for units that were left out too: the table joins with others of the analyzer
    table = pd.DataFrame(columns, index=data["unit"].values).reindex(analyzer.unit_ids)
    # pandas' own integer, which has a missing value; NaN would turn axis numbers into floats
    table["dcf_axis"] = table["dcf_axis"].astype("Int64")
    return table.rename_axis("unit_id")
