"""Oracles: what an attacker may ask of a network, averaged over its draws, every query counted."""
