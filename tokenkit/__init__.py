"""tokenkit: learn what each API token normally does, and say so when it stops being itself."""

__version__ = "0.1.0"
