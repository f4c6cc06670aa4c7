@rem A PocketIC server on Windows with the project's own Node; the same as bin/pocket-ic elsewhere.
@"%~dp0node.cmd" "%~dp0..\apps\cli\src\main.ts" pocket-ic %*
