"""Reporting of conformance suites: one error with all findings."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import NormalDist

FALSE_ALARM = 1e-6  # probability that one statistical check rejects a correct entry
Z = NormalDist().inv_cdf(1 - FALSE_ALARM / 2)  # two-sided: 4.89 standard errors


def conform(what: str, findings: Iterable[str]) -> None:
    """Raise ``AssertionError`` with all findings, if there are any.

    Args:
        what: the checked entry, such as ``family normal``.
        findings: one sentence per violation.
    """
    lines = [f"  - {finding}" for finding in findings]
    if lines:
        raise AssertionError("\n".join([f"{what} does not conform:", *lines]))
