"""Pixels: the only door to image files."""
