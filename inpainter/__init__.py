"""Photo and mask, and similar photos, to a whole photo."""
