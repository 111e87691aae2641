"""The monitors at work inside others' decoding loops: a plain callback, transformers, vLLM."""
