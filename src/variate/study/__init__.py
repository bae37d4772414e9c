"""Studies: a grid of networks that are trained, attacked and judged alike."""
