"""Reports: one function a format, from a `Report` to a string."""
