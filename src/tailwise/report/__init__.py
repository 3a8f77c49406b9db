"""Reports: static charts and one self-contained page."""
