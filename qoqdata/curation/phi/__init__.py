"""Protected health information in a data set's texts: rules, scan, receipt."""
