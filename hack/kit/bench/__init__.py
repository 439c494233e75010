"""`make bench-failover`: load, faults, and how long it takes until no request meets what is dead."""
