"""Floor 3.8: an attribute that should not matter: data that take its weight away, and what a classifier makes of it."""
