"""Batch probing: prompts × sampling configurations × seeds on every device of every host, written to disk as it goes."""
