"""Names of deployments that have proved rates only."""

VOTE = "vote"  # the most frequent label over infinitely many draws
POPULATION = "single, by population"  # single draws, from their clean rate alone
