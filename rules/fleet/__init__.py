"""Several adapters of one base."""
