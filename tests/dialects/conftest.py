"""The drivers are run in the environments of their engines, which the suite does not have."""

collect_ignore_glob = ["drivers/*"]
