"""Benchmarks: one question a file, each checks its answer before it times it."""
