"""Other methods on the same frames: which of them a recording needs."""
