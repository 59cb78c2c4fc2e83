"""Realism: compare simulated traffic with one real hour of CloudTrail and with published figures.

``statistics`` computes gaps, bursts, sizes and first-seen values of any events, ``logs`` reads the events and makes the
tables, ``plots`` draws. The notebook ``bench/realism`` shows all of it.
"""
