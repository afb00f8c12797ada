"""Chains, routes and the posterior: from a summary of the data to draws."""
