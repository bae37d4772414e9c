"""Records: one line of JSON per example and claim, the files of them, and the rows that are computed from them."""
