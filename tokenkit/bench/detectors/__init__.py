"""Detectors: who takes part in the bench (``registry``), what they are made of, and who is refused (``leaks``)."""
