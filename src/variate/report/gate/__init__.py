"""Requirements on what is recorded: read, judged by the end of an interval, and written for continuous integration."""
