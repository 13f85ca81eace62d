"""Published layouts of screens: how their tables name files."""
