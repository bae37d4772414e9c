"""Every defense conforms, and has the mechanism of its paper."""

import pytest

from variate import registry
from variate.testing.defenses import check_defense


@pytest.mark.parametrize("name", registry.entries("defenses"))
def test_conformance(name):
    check_defense(name)
