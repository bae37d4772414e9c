"""How a conformance suite answers: with every finding at once, or with silence."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import NormalDist

FALSE_ALARM = 1e-6  # the chance that one statistical check finds fault with a correct entry
Z = NormalDist().inv_cdf(1 - FALSE_ALARM / 2)  # two-sided: 4.89 standard errors


def conform(what: str, findings: Iterable[str]) -> None:
    """Raise ``AssertionError`` with all findings, if there are any.

    Args:
        what: the entry that was checked, such as ``family normal``.
        findings: one sentence per broken promise.
    """
    found = [f"  - {finding}" for finding in findings]
    if found:
        raise AssertionError("\n".join([f"{what} does not conform:", *found]))
