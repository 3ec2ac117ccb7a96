"""The sections of a report, one file each: a function from `Results` to a `Section`."""
