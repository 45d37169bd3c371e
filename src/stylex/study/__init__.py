"""Floor 3.7: the user study: made of explanation folders, answered in the browser, analysed. No torch."""
