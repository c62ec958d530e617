"""The table of architectures and the scripts that write it, which need torch and transformers; nothing imports them."""
