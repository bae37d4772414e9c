"""Tasks: what a network's answers mean, how they are scored, what an attack climbs, and how draws answer together."""
