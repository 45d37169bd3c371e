"""Floor 3.8: several methods on the same images, side by side, at one size of change."""
