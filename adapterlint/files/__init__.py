"""What bytes say: JSON, safetensors headers, torch pickles, model cards, git-LFS pointers; never tensor data."""
