"""The header of the weights alone."""
