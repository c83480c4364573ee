"""TUNING: labelled questions -> thresholds, curves and the coefficients of the score."""
