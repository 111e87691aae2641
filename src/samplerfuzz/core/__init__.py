"""Ground floor: errors, the registry of techniques, exact floats, seeds. Standard library and NumPy only."""
