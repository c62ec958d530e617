"""Which files a folder has."""
