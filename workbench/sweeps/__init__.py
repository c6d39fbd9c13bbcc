"""Sweeps: the same training many times over with one thing changed, and what came of it.

``config`` says what a sweep file may hold, ``plan`` makes trials of it, ``run`` runs them.
"""
