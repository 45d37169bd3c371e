"""Floor 3: figures and the one-file page, made of an explanation. No torch."""
