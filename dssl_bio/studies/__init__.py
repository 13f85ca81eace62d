"""Controlled experiments: what the method does where the answer is known, beside the methods it is compared with."""
