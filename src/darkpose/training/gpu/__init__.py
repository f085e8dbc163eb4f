"""training/gpu."""
