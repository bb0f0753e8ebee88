"""What `evaluation` is made of: cases, methods' auxiliaries, metrics, significance, the report."""
