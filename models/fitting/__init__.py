"""From a training cohort to fitted parts; nothing here is needed to answer a request."""
