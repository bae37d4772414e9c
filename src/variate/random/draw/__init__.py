"""One draw of a random network: making it, putting it in place and removing it."""
