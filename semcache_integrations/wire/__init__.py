"""Providers' wire formats: one whole answer <-> the events of its stream, so that one entry serves both.

The law: pure translation. Nothing here waits, sends or knows a framework; replay is paced by the adapter.
"""
