"""Maintenance: what a lake needs that lives for years: status, fewer and smaller files, retention, erasure, retry."""
