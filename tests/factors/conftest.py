from tests.app.tiny_bundles import image_bundle
from tests.retrieval.decoded import decoded_images, decoded_profiles
from tests.retrieval.small_bundle import small_road

__all__ = ["decoded_images", "decoded_profiles", "image_bundle", "small_road"]
