"""Manifests of published screens."""
