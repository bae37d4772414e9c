"""Code that several objectives share."""
