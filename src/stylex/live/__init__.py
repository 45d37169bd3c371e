"""Floor 3.5: the explorer's session over real networks; ``ui/`` shows it, and knows only the protocol in core."""
