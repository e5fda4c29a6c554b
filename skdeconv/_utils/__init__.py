"""Utilities: validation, parallelism, persistence, callbacks and warnings."""
