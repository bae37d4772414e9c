"""Files that others wrote: one door that opens them, and TOML with the names that are expected."""
