"""How much burned-in text is found: synthetic lines on real clinical images of all modalities."""
