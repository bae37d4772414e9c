"""Studies: a grid of networks trained, attacked and judged with the same settings."""
