"""Trials: attacks and benign changes laid over copies of an organisation's tokens, and measured."""
