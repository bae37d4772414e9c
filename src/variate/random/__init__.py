"""Random networks: keys, noise, families, one draw, many draws, averages of draws."""
