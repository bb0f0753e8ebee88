"""Pictures, strokes and masks: everything that reads or draws raw material."""
