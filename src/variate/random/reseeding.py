"""Reseeding torch's generator in forked processes, for layers that draw from it."""

from __future__ import annotations

import functools
import os

import torch


@functools.cache  # a hook cannot be removed, so there is one
def reseed_after_fork() -> None:
    """Let every process that is forked from now on reseed torch's CPU generator from the system's entropy.

    A forked process otherwise continues its parent's random numbers, so that two of them make the same draws. Called by
    the files of layers that draw from that generator; networks that draw by keys need none of it.
    """
    if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
        os.register_at_fork(after_in_child=torch.default_generator.seed)
