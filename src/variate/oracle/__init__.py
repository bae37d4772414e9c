"""Oracles: an attacker's access to a network, averaged over its draws, with every query counted."""
