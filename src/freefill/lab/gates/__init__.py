"""What the gates of a network let through, as a report."""
