"""Molecules: the only door to RDKit."""
