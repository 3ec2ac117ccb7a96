"""seqtune: which sequence model, how deep, trained how?"""

__version__ = "0.1.0"
