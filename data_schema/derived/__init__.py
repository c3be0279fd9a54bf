"""What follows from other values: ratios, eGFR, SOFA, APACHE II, SAPS II; no reading of tables."""
