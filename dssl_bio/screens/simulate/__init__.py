"""A Cell Painting screen with known shared and known specific factors."""
