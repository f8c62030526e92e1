"""Many sessions in one space: anchors, shared axes, a coupling for each session, and findings about them."""
