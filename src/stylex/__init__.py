"""StylEx: what does this image classifier look at? Attributes that drive it, shown as pictures."""

__version__ = "0.1.0"
