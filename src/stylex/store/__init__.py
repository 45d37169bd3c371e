"""Floor 2: the explanation folder, written once and read by everybody. No torch."""
