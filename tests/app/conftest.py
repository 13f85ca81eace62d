from tests.app.tiny_bundles import image_bundle, profile_bundle

__all__ = ["image_bundle", "profile_bundle"]
