"""The bench: simulated organisations with known truth, so that a detector can be measured before it is trusted."""
