"""Judge: from evidence to scores, thresholds, incidents and what the page says of them."""
