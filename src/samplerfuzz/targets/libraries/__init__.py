"""Released libraries as targets: which there are, how each is installed, and an adapter of plain functions for each."""
