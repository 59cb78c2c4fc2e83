"""Normal: what is usual for each profile, and how far each of its days and hours deviates from that."""
