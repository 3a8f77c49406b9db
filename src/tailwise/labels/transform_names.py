"""Names of the transforms of a target, without anything heavy imported."""

TRANSFORMS = ("log", "log1p", "sqrt", "yeo-johnson")
