"""How attacks are run: what they ask, how answers of several draws become one, and which attack follows which."""
