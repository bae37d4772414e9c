"""Red flags: what makes an evaluation doubtful, one file each."""
