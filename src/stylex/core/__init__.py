"""Floor 1: the words of the field. No torch, and no disk but for whole-file writing."""
