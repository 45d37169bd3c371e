"""Floor 3: training the generator and the encoder with the classifier in the loop."""
