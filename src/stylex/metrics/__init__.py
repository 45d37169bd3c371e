"""Floor 2: measures, one a file; every result names what it was measured with."""
