"""What each representation knows."""
