"""Floor 1: the words of the field. No torch, no disk."""
