"""Many sessions in one space: anchors, shared axes, a coupling for each session, and what may be said of them."""
