"""The census of anomalous tokens: every id scored by what its embedding looks like, and verified by whether the model can say it."""
