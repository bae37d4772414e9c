"""Attacks: functions from an oracle and a budget to perturbed inputs, one file each."""
