"""World: simulated organisations, for the demo and for the bench."""
