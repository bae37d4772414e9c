"""Evaluation: attacks, suites and the judge, claim by claim, into records."""
