"""The attacks that can be run here: those of another library only where it is installed."""

import importlib.util

import pytest

from variate import registry


def attacks(*, asking=False, modality=None):
    """Parameters for a test over all attacks, or over those that ask the network or work on a modality."""
    found = []
    for name, entry in registry.entries("attacks").items():
        missing = bool(entry.facts["variants"]) and importlib.util.find_spec(name) is None
        fits = modality is None or modality in entry.facts["modality"]
        if fits and (not asking or entry.facts["access"] != "none"):
            found.append(pytest.param(name, marks=pytest.mark.skipif(missing, reason=f"{name} is not installed")))
    return found
