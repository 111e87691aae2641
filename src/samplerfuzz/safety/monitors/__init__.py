"""Is what a running sampler emits drawn from the law that was declared? Monitors whose false-alarm rate is a theorem, however long they watch."""
