"""THE LOAD TEST: bounded load on a proxy, with answers that prove which hits were wrong.

The law: it works in namespaces of its own, deletes what it stored by its own tag alone, and flushes nothing.
"""
