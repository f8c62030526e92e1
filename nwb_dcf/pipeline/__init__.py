"""One file for each job, from an NWB file to an NWB file: fit, transform, simulate, evaluate, refit, plot, demo.

A fit passes through `fit_request` (its arguments, checked), `fit_plan` (what would be done), `fit_recording` (the fit
itself, for SpikeInterface too) and `destination` (where it is written); `fit` is the walk through them.
"""
