"""The adapter against its base model."""
