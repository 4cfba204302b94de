"""Pictures and pages made from a finished run."""
