"""Training objectives, one file each: a scalar loss of a network on a batch. Objectives can be added."""
