"""Images: levels, grids and files."""
