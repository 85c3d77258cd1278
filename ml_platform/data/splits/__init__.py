"""From features and labels to the parts of a training set, and the certificate that none of it leaks."""
