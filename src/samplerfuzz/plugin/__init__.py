"""What the pytest plugin does once a test fuzzes a sampler: one run a call, a directory each, one report of them all."""
