"""Reports, made from records alone."""
