"""Guarding deployments: what may be asked of a model, and what its answers look like."""
