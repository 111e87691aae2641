"""Guarding a deployment: what it is asked for and what it emits, held against a policy."""
