"""The method: encoders, losses, DisentangledSSL, training and what a trained model is on disk."""
