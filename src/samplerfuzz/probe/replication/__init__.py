"""Replication of "Sampling at negative temperature": the texts, the claims about their tokens, and what each claim is held against."""
