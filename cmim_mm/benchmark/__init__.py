"""Grids of trainings: planned, run once each, compared and reported."""
