"""Training with Lightning, which nothing else imports: the two steps on a screen, and any network with its loss."""
