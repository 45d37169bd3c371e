"""Floor 3.5: is the explanation true: the measures of floor 2 over a snapshot."""
