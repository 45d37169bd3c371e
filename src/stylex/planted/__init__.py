"""Floor 3.7: planted causes: drawn images whose factors are known, and how true an explanation of them is."""
