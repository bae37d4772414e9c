"""Metrics: what a task's answers are worth, over the whole data set, each with an interval over examples and draws."""
