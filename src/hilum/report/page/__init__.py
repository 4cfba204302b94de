"""The page of a run: what its files hold, drawn as one HTML file that opens anywhere."""
