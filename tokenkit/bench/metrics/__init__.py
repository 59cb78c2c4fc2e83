"""Metrics: what a contender caught and what it cost, as pure functions on the tables that the protocol writes."""
