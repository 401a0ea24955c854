"""TinyRS: a picture and a question in, the answers of two small models out."""

__version__ = "0.1.0"
