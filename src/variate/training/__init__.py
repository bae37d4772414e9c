"""Training: one loop, and everything that decides its numbers."""
