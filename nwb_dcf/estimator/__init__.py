"""Recordings meet tensors: a fit is planned, trained in stages, applied and stored."""
