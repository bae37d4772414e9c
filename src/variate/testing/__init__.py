"""Conformance suites and models with known answers, for the entries of Variate and of third parties."""
