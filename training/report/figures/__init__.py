"""The figures of a report, with their captions and alternative texts."""
