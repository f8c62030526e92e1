"""One file for each job, from an NWB file to an NWB file: fit, transform, simulate, evaluate, refit, plot, demo."""
