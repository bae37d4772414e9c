"""What the records say: rates with intervals, comparisons, and what makes a claim doubtful."""
