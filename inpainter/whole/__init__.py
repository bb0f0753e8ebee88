"""Whole photos: finding the face, cutting squares out, pasting them back without a seam."""
