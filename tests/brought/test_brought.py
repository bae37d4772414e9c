"""Networks that people bring: for each and everything that is done with it, the right number or a clear refusal."""

import re
import warnings
from importlib.util import find_spec

import pytest
import torch
from brought.operations import ON_RANDOM, OPERATIONS, operations
from brought.table import NETWORKS

from variate.errors import VariateError

PAIRS = [(network, operation) for network, entry in NETWORKS.items() for operation in operations(entry)]


@pytest.fixture(autouse=True)
def quiet():
    """Other packages' advice is not ours to heed; every test draws the same."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize(("network", "operation"), PAIRS)
def test_the_number_is_right_or_refused(network, operation):
    entry = NETWORKS[network]
    if entry.needs and find_spec(entry.needs) is None:
        pytest.skip(f"{entry.needs} is not installed here")
    run = (OPERATIONS | ON_RANDOM)[operation]
    words = entry.refuses.get(operation)
    with entry.around():
        if words is None:
            run(entry)
            return
        with pytest.raises(VariateError, match=re.compile(words, re.DOTALL)):
            run(entry)
