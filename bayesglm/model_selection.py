"""Choosing a model by leave-one-out cross-validation without refitting, one fit for each candidate."""
