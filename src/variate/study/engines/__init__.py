"""Engines that run the tasks of a study: processes on this machine, or a cluster."""
