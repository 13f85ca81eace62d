"""The dssl-bio command line: one file a command."""
