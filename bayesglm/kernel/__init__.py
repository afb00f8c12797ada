"""Compiled densities and NUTS; knows nothing of regression interfaces."""
