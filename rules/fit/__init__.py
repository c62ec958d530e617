"""The config against the tensors."""
