"""From files to a `Dataset`, and back: reading, checking, splitting, storing, encoding, and features as of a moment."""
