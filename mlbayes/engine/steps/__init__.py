"""One kind of sampling step per module."""
