"""How a session is opened: HDF5, Zarr, an address, a dandiset."""
