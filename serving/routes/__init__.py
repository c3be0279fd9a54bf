"""One module per group of endpoints; each is a thin door to `serving.prediction.predictor`."""
