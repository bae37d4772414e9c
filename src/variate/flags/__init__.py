"""Red flags: signs that an evaluation is unreliable, one file each."""
