"""Dynamic Compression Flows on tensors: torch, and nothing of NWB or xarray."""
