"""Floor 3: the search. Move coordinates of StyleSpace, ask the classifier, choose, and show."""
