"""Floor 3.5: the explorer's session over real networks: images and knobs at hand, for whoever shows them."""
