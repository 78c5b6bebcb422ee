"""A daemon that keeps a semantic and lexical index of source trees fresh and answers questions about them."""

__version__ = "0.1.0"
