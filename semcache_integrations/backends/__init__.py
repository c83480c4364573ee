"""DOES: one file per third party, and nothing that decides."""
