"""The local page of `hilum view`: volumes, truth and prediction in a browser, served to this machine alone."""
