"""Floor 2: the networks, and what is needed to use them."""
