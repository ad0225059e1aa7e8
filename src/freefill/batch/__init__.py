"""Many photos: one after the other, on all cores, and on many machines."""
