"""One data set, from a manifest to tables and arrays."""
