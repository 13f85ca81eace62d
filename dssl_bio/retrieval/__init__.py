"""What is served: bundles, search and significance."""
