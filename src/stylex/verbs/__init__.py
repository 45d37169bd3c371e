"""The verbs, a file for those of one kind; ``stylex.api`` has them all."""
