"""Public fakes and conformance suites: what we test our own plug-ins with, for yours."""

from semcache_integrations.testing.embedders import EmbedderSuite, HashingEmbedder

__all__ = ["EmbedderSuite", "HashingEmbedder"]
