"""The sections of a report, one file each: functions that map `Results` to a `Section`."""
