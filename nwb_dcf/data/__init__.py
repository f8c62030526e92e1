"""The two contracts, recording and result, and what is done to recordings before a fit."""
