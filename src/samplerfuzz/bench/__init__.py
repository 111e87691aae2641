"""How fast the samplers are, beside others: the same rows, the same chains, the same run. What is timed is checked against the oracle first."""
