"""The symbolic PEFT: which methods there are, what their tensors are called, and what an adapter touches."""
