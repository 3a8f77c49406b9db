"""Corrections of finished predictions, and conformal intervals by region."""
