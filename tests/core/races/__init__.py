"""Races: many people, threads and processes at the same records at once, and exactly one story afterwards.

Invariant: a scenario is written once and says nothing of how it is run; the contestants say nothing of what is run.
"""
