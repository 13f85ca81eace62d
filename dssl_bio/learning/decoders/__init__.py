"""Decoders: from a shared and a specific representation back to features and to pictures."""
