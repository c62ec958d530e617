"""The config alone."""
