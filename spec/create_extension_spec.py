"""Generate the specification of ndx-dcf: the only source of the two YAML files beside this one.

Run ``python spec/create_extension_spec.py [FOLDER]``. Fields added after 0.1.0 must be optional
(``quantity="?"``, ``required=False``): a new required field makes every older file unreadable.
Attributes use ``int`` and ``float`` without a width, since ``int64`` attributes cannot be read through Zarr,
and no link is both named and repeated, since such a file cannot be read at all.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pynwb.spec import (
    NWBAttributeSpec,
    NWBDatasetSpec,
    NWBGroupSpec,
    NWBLinkSpec,
    NWBNamespaceBuilder,
    export_spec,
)

NAME = "ndx-dcf"
VERSION = "0.1.0"

LATENT_SERIES = NWBGroupSpec(
    neurodata_type_def="LatentSeries",
    neurodata_type_inc="TimeSeries",
    doc="Coordinates of a recording in a low-dimensional latent space, one row for each frame.",
    datasets=[
        NWBDatasetSpec(
            name="data",
            doc="Latent coordinates, most important axis first.",
            dtype="numeric",
            dims=("num_times", "num_latents"),
            shape=(None, None),
        ),
    ],
)

DYNAMIC_COMPRESSION_FLOW = NWBGroupSpec(
    neurodata_type_def="DynamicCompressionFlow",
    neurodata_type_inc="NWBDataInterface",
    doc=(
        "One fit of Dynamic Compression Flows (Wei et al., ICML 2026) to one recording: latents in time, the model "
        "that made them, and how it came to be."
    ),
    attributes=[
        NWBAttributeSpec(name="schema_version", doc="Version of ndx-dcf that this fit was written with.", dtype="text"),
        NWBAttributeSpec(name="package_version", doc="Version of nwb_dcf that wrote this fit.", dtype="text"),
        NWBAttributeSpec(name="kind", doc="Kind of recording: units, series, ...", dtype="text"),
        NWBAttributeSpec(name="dim", doc="Number of latents.", dtype="int"),
        NWBAttributeSpec(
            name="k_eff",
            doc="Effective dimension: the fewest axes that hold 95 % of the total variance.",
            dtype="int",
        ),
    ],
    groups=[
        # The only unnamed type of the container: this is what gives container["latents"] to readers that know nothing
        # but the cached specification.
        NWBGroupSpec(
            neurodata_type_inc="TimeSeries",
            doc=(
                "Series on the frames' clock, LatentSeries (num_times, num_latents): 'latents' the encoder's code, "
                "'flowed' each frame integrated to tau = 0, 'velocity' the dynamical flow at the code, per second."
            ),
            quantity="*",
        ),
        NWBGroupSpec(
            name="segments",
            neurodata_type_inc="TimeIntervals",
            doc=(
                "Stretches that no pair of frames crosses, such as trials: start_time, stop_time; start_index, count: "
                "their rows in the series; row: id in the interval table they came from, -1 for none; "
                "held_out: not used for fitting; trial_NAME: column NAME of that table."
            ),
        ),
        NWBGroupSpec(
            name="axes",
            neurodata_type_inc="DynamicTable",
            doc=(
                "Latent axes in order of importance: component K = 1, 2, ...; spectrum: variance d; bottleneck_r2: "
                "held-out R2 rebuilt from the first K numbers; pca_r2: the same for principal components."
            ),
        ),
        NWBGroupSpec(
            name="training",
            neurodata_type_inc="DynamicTable",
            doc="Losses over training: step, loss_NAME on the training segments, held_out_NAME on those held out.",
        ),
    ],
    datasets=[
        NWBDatasetSpec(
            name="loadings",
            doc="L: orthonormal axes of the latent space in the space of the prepared channels.",
            dtype="numeric",
            dims=("num_channels", "num_components"),
            shape=(None, None),
        ),
        NWBDatasetSpec(
            name="mean",
            doc="b: mean of each prepared channel.",
            dtype="numeric",
            dims=("num_channels",),
            shape=(None,),
        ),
        NWBDatasetSpec(
            name="channels",
            doc="Ids of the channels, in the order of the model: ids of units, or columns of a series.",
            dims=("num_channels",),
            shape=(None,),
        ),
        NWBDatasetSpec(
            name="units",
            neurodata_type_inc="DynamicTableRegion",
            doc="Rows of the units in their table, in the order of the model, where the source is a Units table.",
            quantity="?",
        ),
        NWBDatasetSpec(
            name="weights",
            doc="Weights of both flow fields and the coupling: the bytes of a safetensors file.",
            dtype="uint8",
            dims=("num_bytes",),
            shape=(None,),
        ),
        NWBDatasetSpec(name="config", doc="Every setting of the fit, as JSON.", dtype="text"),
        NWBDatasetSpec(
            name="provenance",
            doc="How the fit came to be, as JSON: versions, seed, device, source and its hash, statistics, times.",
            dtype="text",
        ),
        NWBDatasetSpec(
            name="summary",
            doc="Attributes of the result, as JSON: k_eff, total variance, held-out scores.",
            dtype="text",
        ),
    ],
    links=[
        NWBLinkSpec(
            name="source_series",
            target_type="TimeSeries",
            doc="The series that was fitted, where the source is one.",
            quantity="?",
        ),
        NWBLinkSpec(
            name="source_units",
            target_type="Units",
            doc="The units that were fitted, where the source is a Units table.",
            quantity="?",
        ),
    ],
)


def create_extension_spec(folder: str | Path) -> None:
    """Write ``ndx-dcf.namespace.yaml`` and ``ndx-dcf.extensions.yaml`` into `folder`."""
    namespace = NWBNamespaceBuilder(
        name=NAME,
        version=VERSION,
        doc="Latents, velocities and models of Dynamic Compression Flows fitted to neural recordings",
        author=["The nwb-dcf developers"],
        contact=["the issues of the nwb-dcf repository"],
    )
    for type_name in ("TimeSeries", "NWBDataInterface", "TimeIntervals", "DynamicTable", "DynamicTableRegion", "Units"):
        namespace.include_type(type_name, namespace="core")
    export_spec(namespace, [LATENT_SERIES, DYNAMIC_COMPRESSION_FLOW], str(folder))


if __name__ == "__main__":
    create_extension_spec(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
