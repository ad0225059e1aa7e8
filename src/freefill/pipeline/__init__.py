"""The one way to fill: which part the network sees, what it gives, and how that joins the photo."""
