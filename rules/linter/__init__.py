"""What a run itself came to: what is set aside and need not be."""
