"""Where the tasks of a study run: in processes of this machine, or on a cluster."""
