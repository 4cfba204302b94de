"""Which predictions a person should look at: what is measured of a case, what training had, and the flags between."""
