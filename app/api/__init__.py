"""The HTTP interface for programs: the questions of the pages, answered as JSON by the same library functions."""
