"""Tokens: the inventory and its owners, the profile of each token, and how a token is found by name."""
