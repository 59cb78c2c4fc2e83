"""Workbench: a workspace as a data scientist uses it: frames, exploring, tuning."""
