"""Result locations: directories and URLs, local mirrors, atomic writes, full disks."""
