"""Failovers as they happen: real servers in network namespaces, faults injected, every acknowledgement counted."""
