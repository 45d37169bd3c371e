"""Floor 4, below the verbs: the viewer in the browser. No torch: what it shows comes from a core ``Studio``."""
