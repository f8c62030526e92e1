"""Tests of nwb_dcf; a package, so that `tests.nwb_files` can be imported from every folder."""
