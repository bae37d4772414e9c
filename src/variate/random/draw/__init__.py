"""How one draw of a random network is made, put in its place and taken away."""
