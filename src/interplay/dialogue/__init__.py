"""What people say to the engine: read, kept as standing wishes, and obeyed."""
