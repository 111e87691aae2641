"""Who is timed, one a file: how each runs a workload, and what it kept."""
