@rem Starts Atoll's command line on Windows with the project's own Node; the same as bin/atoll elsewhere.
@"%~dp0node.cmd" "%~dp0..\apps\cli\src\main.ts" %*
