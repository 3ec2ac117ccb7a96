"""Where results live: directories and URLs, mirroring, atomic writes, full disks."""
