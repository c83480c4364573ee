"""DOES. One third party per file; each is imported when first used, never when this package is."""
