"""Molecule-phenotype retrieval with shared and modality-specific representations (DisentangledSSL)."""

__version__ = "0.1.0"
