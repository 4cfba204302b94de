"""From a cohort to batches: split by patient, prepare once, sample patches, load ahead."""
