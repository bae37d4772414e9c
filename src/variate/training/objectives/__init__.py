"""Training objectives, one file each: a scalar loss from a network and a batch. They combine by sum."""
