"""DOES: one file per third party. Nothing in here decides what may be served."""
