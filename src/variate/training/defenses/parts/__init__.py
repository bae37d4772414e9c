"""What several entries of this folder share."""
