"""Networks outside of Variate: exported, opened, served."""
