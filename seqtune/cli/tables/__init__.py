"""Tables that commands print; apart from the commands, since they import tasks and torch."""
