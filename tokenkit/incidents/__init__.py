"""Incidents: thresholds from the budget, merging, reasons, advice, and what people answered."""
