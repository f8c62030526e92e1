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
VERSION = "1.2.0"

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

PER_SECOND = NWBAttributeSpec(name="unit", doc="Latent units per second.", dtype="text", value="1/s")

MODEL_PART = NWBGroupSpec(
    neurodata_type_def="ModelPart",
    neurodata_type_inc="NWBDataInterface",
    doc="A part of a fitted model: what it computes, and its weights. Nothing in it is code, and nothing is pickled.",
    datasets=[
        NWBDatasetSpec(
            name="architecture",
            doc=(
                "What the part computes, as JSON: its class in nwb_dcf, formula, settings, channels, axes (k_max), and "
                "the name, dtype and shape of each tensor in weights."
            ),
            dtype="text",
        ),
        NWBDatasetSpec(
            name="weights",
            doc="Its tensors, as the bytes of a safetensors file.",
            dtype="uint8",
            dims=("num_bytes",),
            shape=(None,),
        ),
    ],
)

FLOW_FIELD = NWBGroupSpec(
    neurodata_type_def="FlowField",
    neurodata_type_inc="ModelPart",
    doc="A velocity field given by a neural network, whose integral curves are one of the two flows of the model.",
    attributes=[
        NWBAttributeSpec(
            name="symbol",
            doc="Symbol in the paper: u, along compression tau, or v, along time.",
            dtype="text",
        ),
    ],
)

LATENT_COUPLING = NWBGroupSpec(
    neurodata_type_def="LatentCoupling",
    neurodata_type_inc="ModelPart",
    doc=(
        "The map from a frame x to its compressed endpoint, x0 = b + L D^(1/2) mu(x): the encoder mu, the axes L, "
        "their variances D and the mean b (the last three also in loadings, axes and mean of the container)."
    ),
)

VELOCITY_FIELD = NWBGroupSpec(
    neurodata_type_def="VelocityField",
    neurodata_type_inc="NWBDataInterface",
    doc=(
        "The dynamical flow v at full compression (tau = 0), sampled on a regular grid over the part of the first one, "
        "two or three latents that the recording visited; the other latents are 0, their mean. To be read and drawn "
        "without the model."
    ),
    attributes=[
        NWBAttributeSpec(
            name="history",
            doc="Which past of the state v was shown at each point, in words, since v may depend on it.",
            dtype="text",
        ),
    ],
    datasets=[
        NWBDatasetSpec(
            name="velocity",
            doc="v at each point: what a state there would do that has the history named above.",
            dtype="numeric",
            dims=(
                ("grid_1", "num_latents"),
                ("grid_1", "grid_2", "num_latents"),
                ("grid_1", "grid_2", "grid_3", "num_latents"),
            ),
            shape=((None, None), (None, None, None), (None, None, None, None)),
            attributes=[PER_SECOND],
        ),
        NWBDatasetSpec(
            name="mean_velocity",
            doc=(
                "Mean of v over the frames of each cell, with the history that each of them had; NaN where no frame "
                "was."
            ),
            dtype="numeric",
            dims=(
                ("grid_1", "num_latents"),
                ("grid_1", "grid_2", "num_latents"),
                ("grid_1", "grid_2", "grid_3", "num_latents"),
            ),
            shape=((None, None), (None, None, None), (None, None, None, None)),
            attributes=[PER_SECOND],
            quantity="?",
        ),
        NWBDatasetSpec(
            name="frames",
            doc=(
                "Frames of the recording whose latents lie in the cell around each point: where it is 0 there were "
                "no data, and v is extrapolated."
            ),
            dtype="int",
            dims=(("grid_1",), ("grid_1", "grid_2"), ("grid_1", "grid_2", "grid_3")),
            shape=((None,), (None, None), (None, None, None)),
        ),
        *(
            NWBDatasetSpec(
                name=f"grid_{axis}",
                doc=f"Points along latent {axis}, evenly spaced, in latent units (standard deviations).",
                dtype="numeric",
                dims=(f"grid_{axis}",),
                shape=(None,),
                quantity=1 if axis == 1 else "?",
            )
            for axis in (1, 2, 3)
        ),
    ],
)


def describe_columns(*columns: tuple[str, str]) -> list[NWBDatasetSpec]:
    """Describe columns that a table may have; names and docs."""
    return [NWBDatasetSpec(name=n, neurodata_type_inc="VectorData", doc=doc, quantity="?") for n, doc in columns]


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
                "Stretches that no pair of frames crosses, such as trials, with start_time and stop_time; column "
                "trial_NAME is column NAME of the interval table they came from."
            ),
            datasets=describe_columns(
                ("start_index", "First row of the segment in the series, from 0."),
                ("count", "Rows of the segment in the series."),
                ("row", "Id in the interval table that the segment came from, -1 for none."),
                ("held_out", "Whether the whole segment was kept out of fitting."),
            ),
        ),
        NWBGroupSpec(
            name="axes",
            neurodata_type_inc="DynamicTable",
            doc="Latent axes in order of importance.",
            datasets=describe_columns(
                ("component", "K = 1, 2, ...: number of the axis, and of the latents used for the two R2."),
                ("variance", "d, variance of the axis, in squared units of the prepared data; sums over axes."),
                (
                    "bottleneck_r2",
                    "R2 of the data rebuilt from the first K numbers, held out where there are such data.",
                ),
                ("pca_r2", "The same for the first K principal components."),
                ("source_share", "Share of the axis that each source has, one number for each row of sources."),
            ),
        ),
        NWBGroupSpec(
            name="training",
            neurodata_type_inc="DynamicTable",
            doc="Losses over training: loss_NAME on the training segments, held_out_NAME on those held out.",
            datasets=describe_columns(("step", "Optimiser step.")),
        ),
        NWBGroupSpec(
            name="sources",
            neurodata_type_inc="DynamicTable",
            doc=(
                "Objects that were fitted, a row for each: several where a fit joins sources or takes a family of "
                "series as one. They are named, not linked, since they may lie in another file."
            ),
            quantity="?",
            datasets=describe_columns(
                ("file", "Name of the NWB file that held it, without its folder."),
                ("path", "Path in that file."),
                ("type", "Its neurodata_type."),
                ("source_object_id", "Its object id."),
                ("sha256", "Hash of its values and clock, by which nwb-dcf tells whether it has changed."),
            ),
        ),
        NWBGroupSpec(
            name="channel_table",
            neurodata_type_inc="DynamicTable",
            doc="Channels of the fit, in the order of the model, and what they have to do with each latent.",
            quantity="?",
            datasets=describe_columns(
                ("channel", "Id of the channel, as in channels of the container."),
                ("loading", "Entry of the channel in the axis of each latent, one number for each latent."),
                ("loading_share", "Fraction of each latent's squared loading that the channel has."),
                ("decoder_share", "Fraction of what each latent explains, through the decoder, of the channel."),
            ),
        ),
        NWBGroupSpec(
            name="certificate",
            neurodata_type_inc="DynamicTable",
            doc="What may be believed of the fit: a row for each question that was asked of it.",
            quantity="?",
            datasets=describe_columns(
                ("line", "What was asked, as 'better than PCA'."),
                ("verdict", "pass, doubtful, fail, or not measured."),
                ("number", "What the value is."),
                ("value", "The number that the verdict rests on, NaN where it was not measured."),
                ("low", "Lower end of its interval, NaN for none."),
                ("high", "Upper end of its interval, NaN for none."),
                ("n", "Segments, blocks, fits or shifts that it rests on, 0 where it rests on none."),
                ("over", "Which of these."),
                ("sentence", "What follows, and what to do."),
            ),
        ),
        NWBGroupSpec(
            name="coupling",
            neurodata_type_inc="LatentCoupling",
            doc="The map from frames to their compressed endpoints.",
            quantity="?",
        ),
        NWBGroupSpec(
            name="compressive_flow",
            neurodata_type_inc="FlowField",
            doc="u(x, tau): carries frames (tau = 1) to their compressed endpoints (tau = 0) and back.",
            quantity="?",
        ),
        NWBGroupSpec(
            name="dynamical_flow",
            neurodata_type_inc="FlowField",
            doc="v(x, tau, s, history): carries a state from one frame to the next.",
            quantity="?",
        ),
        NWBGroupSpec(
            name="velocity_field",
            neurodata_type_inc="VelocityField",
            doc="v at tau = 0 on a grid of the first latents.",
            quantity="?",
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
            doc="In fits of schema 0.1.0 only: the weights of the whole model, as the bytes of a safetensors file.",
            dtype="uint8",
            dims=("num_bytes",),
            shape=(None,),
            quantity="?",
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
            doc="The series that was fitted, where it is a single one of this file.",
            quantity="?",
        ),
        NWBLinkSpec(
            name="source_units",
            target_type="Units",
            doc="The units that were fitted, where they are a table of this file.",
            quantity="?",
        ),
    ],
)

COHORT_SPACE = NWBGroupSpec(
    neurodata_type_def="CohortSpace",
    neurodata_type_inc="NWBDataInterface",
    doc=(
        "One latent space of many sessions: where each condition is in it in each bin, the field of velocity that the "
        "sessions share, and what may be said of them. The latents of each session are in its own file."
    ),
    attributes=[
        NWBAttributeSpec(name="schema_version", doc="Version of ndx-dcf that this was written with.", dtype="text"),
        NWBAttributeSpec(name="package_version", doc="Version of nwb_dcf that wrote this.", dtype="text"),
        NWBAttributeSpec(name="dim", doc="Number of latents.", dtype="int"),
        NWBAttributeSpec(
            name="sha256",
            doc="Hash of anchors, field and settings, by which each session names its cohort.",
            dtype="text",
        ),
    ],
    groups=[
        NWBGroupSpec(
            name="conditions",
            neurodata_type_inc="DynamicTable",
            doc="The conditions, in the order of the anchors' first dimension.",
            datasets=describe_columns(("label", "Value in the column of trials, as text.")),
        ),
        NWBGroupSpec(
            name="sessions",
            neurodata_type_inc="DynamicTable",
            doc="A row for each session; further columns are figures of it.",
            datasets=describe_columns(
                ("session", "Its name in the cohort."),
                ("animal", "The animal; sessions of one animal count once where groups are compared."),
                ("group", "The group, empty for none."),
                ("file", "Name of its NWB file, without its folder."),
                ("identifier", "Identifier of that file."),
                ("in_axes", "Whether the axes were found with it."),
            ),
        ),
        NWBGroupSpec(
            name="dynamical_flow",
            neurodata_type_inc="FlowField",
            doc="v(z): the field of velocity that the sessions share, latent units per bin.",
        ),
    ],
    datasets=[
        NWBDatasetSpec(
            name="anchors",
            doc="Where each condition is in the shared space in each bin, slowest axis first.",
            dtype="numeric",
            dims=("num_conditions", "num_bins", "num_latents"),
            shape=(None, None, None),
        ),
        NWBDatasetSpec(
            name="bins",
            doc="Centre of each bin in seconds after the start of the trial's window.",
            dtype="numeric",
            dims=("num_bins",),
            shape=(None,),
            attributes=[NWBAttributeSpec(name="unit", doc="Seconds.", dtype="text", value="seconds")],
        ),
        NWBDatasetSpec(
            name="variance",
            doc="Fraction of the energy of the sessions' condition means in each axis.",
            dtype="numeric",
            dims=("num_latents",),
            shape=(None,),
        ),
        NWBDatasetSpec(
            name="persistence",
            doc="Mean autocorrelation of each axis within conditions, by which axes are ordered.",
            dtype="numeric",
            dims=("num_latents",),
            shape=(None,),
        ),
        NWBDatasetSpec(
            name="means",
            doc="Mean latents of each session, NaN where it has no trial.",
            dtype="numeric",
            dims=("num_sessions", "num_conditions", "num_bins", "num_latents"),
            shape=(None, None, None, None),
            quantity="?",
        ),
        NWBDatasetSpec(name="config", doc="Every setting, as JSON.", dtype="text"),
        NWBDatasetSpec(
            name="provenance", doc="How it came to be, as JSON: versions, seed, what was read.", dtype="text"
        ),
        NWBDatasetSpec(
            name="statistics", doc="What may be said, as JSON: findings in sentences, and their figures.", dtype="text"
        ),
    ],
)

TYPES = [LATENT_SERIES, MODEL_PART, FLOW_FIELD, LATENT_COUPLING, VELOCITY_FIELD, DYNAMIC_COMPRESSION_FLOW, COHORT_SPACE]


def create_extension_spec(folder: str | Path) -> None:
    """Write ``ndx-dcf.namespace.yaml`` and ``ndx-dcf.extensions.yaml`` into `folder`."""
    namespace = NWBNamespaceBuilder(
        name=NAME,
        version=VERSION,
        doc="Latents, velocities and models of Dynamic Compression Flows fitted to neural recordings",
        author=["The nwb-dcf developers"],
        contact=["the issues of the nwb-dcf repository"],
    )
    for type_name in (
        "TimeSeries",
        "NWBDataInterface",
        "TimeIntervals",
        "DynamicTable",
        "DynamicTableRegion",
        "VectorData",
        "Units",
    ):
        namespace.include_type(type_name, namespace="core")
    export_spec(namespace, TYPES, str(folder))


if __name__ == "__main__":
    create_extension_spec(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
