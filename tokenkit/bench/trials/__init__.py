"""Trials: what each token did, done otherwise: attacks and benign changes laid over an organisation's own days."""
