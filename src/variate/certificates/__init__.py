"""Certificates: proved lower bounds for networks with random inputs or weights, one file a mechanism."""
