"""Conformance suites and models with known answers, for built-in and third-party entries."""
