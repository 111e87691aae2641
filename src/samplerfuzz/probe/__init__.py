"""Probing a model: what it does at every real temperature, and which of its tokens it does not know."""
