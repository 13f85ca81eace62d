from tests.retrieval.small_bundle import small_road

__all__ = ["small_road"]
