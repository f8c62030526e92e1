"""A script for a process without nwb_dcf: print what plain pynwb reads of a fit, as JSON."""

import json
import sys

from pynwb import NWBHDF5IO, validate


def describe(path: str, name: str) -> dict:
    with NWBHDF5IO(path, "r") as io:
        nwbfile = io.read()
        fit = nwbfile.processing["dcf"][name]
        latents = fit["latents"]
        segments = fit.segments.to_dataframe()
        return {
            "bases": [cls.__name__ for cls in type(latents).__mro__],
            "latents": latents.data[:].tolist(),
            "times": [list(map(float, fit[series].get_timestamps())) for series in ("latents", "flowed", "velocity")],
            "rate": latents.rate,
            "units": [latents.unit, fit["velocity"].unit],
            "segments": {column: segments[column].tolist() for column in segments},
            "spectrum": fit.axes["variance"][:].tolist(),
            "steps": fit.training["step"][:].tolist(),
            "loadings": list(fit.loadings.shape),
            "parts": {
                part: [bytes(getattr(fit, part).weights[:]).hex(), json.loads(getattr(fit, part).architecture)]
                for part in ("coupling", "compressive_flow", "dynamical_flow")
            },
            "symbols": [fit.compressive_flow.symbol, fit.dynamical_flow.symbol],
            "field": [
                fit.velocity_field.history,
                fit.velocity_field.grid_1[:].tolist(),
                fit.velocity_field.frames[:].tolist(),
                list(fit.velocity_field.velocity.shape),
                fit.velocity_field.velocity.attrs["unit"],
            ],
            "sources": fit.sources.to_dataframe().to_dict("records"),
            "config": json.loads(fit.config),
            "attributes": [int(fit.dim), int(fit.k_eff), fit.kind, fit.schema_version],
            "source_is_units": fit.source_units is nwbfile.units,
            "unit_ids": [int(i) for i in nwbfile.units.id[:][fit.units.data[:]]],
            "rows_of_units": len(fit.units.to_dataframe()),
        }


if __name__ == "__main__":
    check, path, *names = sys.argv[1:]
    report = {name: describe(path, name) for name in names}
    errors = validate(path=path) if check == "validate" else []
    report["problems"] = [str(error) for error in errors if "dcf" in str(error.location)]
    report["imported"] = [m for m in sys.modules if m.startswith(("nwb_dcf", "ndx"))]
    print(json.dumps(report))
